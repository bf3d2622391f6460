"""scMalignantFinder: a classifier of malignant cells whose model is not in its package.

Asked as its guide says, with the folder of the model as the guide names it; without the model it
stops and its message goes into the table.
"""

from __future__ import annotations

from benchmarks.peers.judging import Bools, Sample, as_anndata, run


def judge(sample: Sample) -> dict[str, Bools]:
    from scMalignantFinder import classifier

    model = classifier.scMalignantFinder(as_anndata(sample), pretrain_dir="pretrained_model")
    model.load()
    prediction = model.predict().obs["scMalignantFinder_prediction"]
    return {"malignant": (prediction == "Malignant").to_numpy(bool)}


if __name__ == "__main__":
    run(judge)
