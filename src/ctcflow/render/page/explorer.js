// Colours, selects and finds on the map; the drawing is BokehJS's.
const explorer = document.getElementById("explorer");
if (explorer && window.Bokeh) {
  const read = (name) => JSON.parse(document.getElementById(name).textContent);
  const about = read("explorer-about");
  const chosen = { column: Object.keys(about)[0], level: null, sample: null };
  const [colour, sample, find, status, legend] = [
    "colour",
    "sample",
    "find",
    "status",
    "legend",
  ].map((name) => document.getElementById(`explorer-${name}`));
  const groups = ["cells", "uncertain", "CTC aggregate", "CTC"];
  explorer.hidden = false;
  const draw = () =>
    Bokeh.embed.embed_item(read("explorer-item"), "explorer-plot").then(() => {
      const doc = Bokeh.documents[Bokeh.documents.length - 1];
      const model = (name) => doc.get_model_by_name(name);
      const sources = groups.map((name) => model(`${name} source`));
      const filters = groups.map((name) => model(`${name} filter`));
      const name = (data, row, column) =>
        about[column] ? about[column].names[data[column][row]] : "";
      const select = () => {
        let shown = 0;
        let of = 0;
        sources.forEach((source, group) => {
          const { data } = source;
          const n = data.x.length;
          const visible = new Array(n);
          for (let row = 0; row < n; row += 1) {
            visible[row] =
              (chosen.sample === null || data.sample[row] === chosen.sample) &&
              (chosen.level === null || data[chosen.column][row] === chosen.level);
            shown += visible[row] ? 1 : 0;
          }
          of += n;
          filters[group].booleans = visible;
        });
        status.textContent =
          shown === of
            ? `${of.toLocaleString("en")} cells`
            : `${shown.toLocaleString("en")} of ${of.toLocaleString("en")} cells`;
      };
      const entry = (code, column) => {
        const item = document.createElement("li");
        const button = document.createElement("button");
        const swatch = document.createElement("span");
        const count = column.counts[code].toLocaleString("en");
        button.type = "button";
        button.setAttribute("aria-pressed", "false");
        swatch.className = "swatch";
        swatch.style.background = column.colours[code];
        button.append(swatch, `${column.names[code] || "no name"} (${count})`);
        button.addEventListener("click", () => {
          chosen.level = chosen.level === code ? null : code;
          for (const other of legend.querySelectorAll("button")) {
            other.setAttribute("aria-pressed", String(other === button && chosen.level === code));
          }
          select();
        });
        item.append(button);
        return item;
      };
      const scale = (column) => {
        const item = document.createElement("li");
        const bar = document.createElement("span");
        const short = (value) => Number(value.toPrecision(3)).toLocaleString("en");
        bar.className = "scale";
        bar.style.background = `linear-gradient(to right, ${column.colours.join(",")})`;
        item.append(short(column.low), bar, short(column.high));
        return item;
      };
      const paint = () => {
        const column = about[chosen.column];
        const source = sources[0];
        const { palette, low, high } = column.names
          ? { palette: column.colours, low: -0.5, high: column.names.length - 0.5 }
          : { palette: column.colours, low: column.low, high: column.high };
        model("colours").setv({ palette, low, high });
        source.data = { ...source.data, shown: Float32Array.from(source.data[chosen.column]) };
        legend.replaceChildren(
          ...(column.names ? column.names.map((_, code) => entry(code, column)) : [scale(column)]),
        );
      };
      colour.addEventListener("change", () => {
        chosen.column = colour.value;
        chosen.level = null;
        paint();
        select();
      });
      sample.addEventListener("change", () => {
        chosen.sample = sample.value === "" ? null : Number(sample.value);
        select();
      });
      find.addEventListener("input", () => {
        const text = find.value.trim().toUpperCase();
        const hits = [];
        if (text.length > 2) {
          for (const { data } of sources) {
            data.barcode.forEach((barcode, row) => {
              if (barcode.toUpperCase().startsWith(text)) hits.push([data, row]);
            });
          }
        }
        model("found").data = {
          x: hits.map(([data, row]) => data.x[row]),
          y: hits.map(([data, row]) => data.y[row]),
        };
        if (text.length <= 2) {
          select();
        } else if (hits.length === 0) {
          status.textContent = "No cell of this map begins with that";
        } else {
          const [data, row] = hits[0];
          const said = ["class", "cell_type", "sample"]
            .map((column) => name(data, row, column))
            .filter(Boolean);
          status.textContent =
            hits.length === 1
              ? `${data.barcode[row]}: ${said.join(", ")}`
              : `${hits.length} cells begin with that`;
        }
      });
      paint();
      select();
    });
  // a hundred thousand points take seconds: the answer must not wait for them
  new IntersectionObserver(
    (entries, observer) => {
      if (entries.some((entry) => entry.isIntersecting)) {
        observer.disconnect();
        draw();
      }
    },
    { rootMargin: "800px" },
  ).observe(explorer);
}
