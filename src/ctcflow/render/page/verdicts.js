// Saves what a reviewer says on the cards as the table that `verdicts` in the config names.
const save = document.getElementById("save");
if (save) {
  const said = document.getElementById("save-status");
  save.addEventListener("click", () => {
    const reviewer = document.getElementById("reviewer").value.trim();
    const lines = ["sample\tbarcode\tverdict\treviewer\treason"];
    const cards = document.querySelectorAll(".card");
    for (const card of cards) {
      const verdict = card.querySelector(".verdict").value;
      const reason = card.querySelector(".reason").value.replace(/\s+/g, " ").trim();
      const { sample, barcode } = card.dataset;
      if (!verdict) continue;
      if (!reason) {
        said.textContent = `Say why for ${barcode} of ${sample}`;
        card.querySelector(".reason").focus();
        return;
      }
      lines.push([sample, barcode, verdict, reviewer, reason].join("\t"));
    }
    if (lines.length === 1) {
      said.textContent = "No verdict is given yet";
      return;
    }
    if (!reviewer) {
      said.textContent = "Say who reviews";
      document.getElementById("reviewer").focus();
      return;
    }
    const link = document.createElement("a");
    const text = new Blob([`${lines.join("\n")}\n`], { type: "text/tab-separated-values" });
    link.href = URL.createObjectURL(text);
    link.download = "verdicts.tsv";
    link.click();
    URL.revokeObjectURL(link.href);
    said.textContent = `Saved: ${lines.length - 1} of ${cards.length} cells`;
  });
}
