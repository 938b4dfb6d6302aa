"use strict";
// Everything here is a convenience: without it the page shows the same.

const every = (selector, from = document) => [...from.querySelectorAll(selector)];

// Light or dark, as this reader wants it.
const theme = document.getElementById("theme");
theme.hidden = false;
theme.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : window.matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

// A plot tells its values at the place that the mouse or the arrow keys point to.
for (const plot of every("svg.plot")) {
  const [left, top, right, bottom] = plot.dataset.frame.split(" ").map(Number);
  const series = every(".series", plot)
    .filter((group) => group.dataset.points)
    .map((group) => ({
      name: group.dataset.name,
      places: group.dataset.points.split(" ").map((pair) => Number(pair.split(",")[0])),
      told: group.dataset.told.split("|").map((pair) => pair.split(";")),
    }));
  const places = [...new Set(series.flatMap((each) => each.places))].sort((a, b) => a - b);
  const told = plot.parentElement.querySelector(".told");
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
  cursor.setAttribute("class", "cursor");
  cursor.setAttribute("y1", top);
  cursor.setAttribute("y2", bottom);
  let at = -1;
  const nearest = (values, x) =>
    values.reduce((best, value, index) => (Math.abs(value - x) < Math.abs(values[best] - x) ? index : best), 0);
  const show = (index) => {
    at = Math.max(0, Math.min(places.length - 1, index));
    cursor.setAttribute("x1", places[at]);
    cursor.setAttribute("x2", places[at]);
    plot.append(cursor);
    const parts = series.map((each) => {
      const found = each.told[nearest(each.places, places[at])];
      return { x: found[0], text: `${each.name} ${found[1]}` };
    });
    told.textContent = `${plot.dataset.x} ${parts[0].x}: ${parts.map((part) => part.text).join(", ")}`;
  };
  const hide = () => {
    cursor.remove();
    told.textContent = "";
    at = -1;
  };
  if (!places.length) continue;
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    show(nearest(places, ((event.clientX - box.left) / box.width) * plot.viewBox.baseVal.width));
  });
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: places.length - 1 };
    if (event.key in steps) {
      show(steps[event.key]);
      event.preventDefault();
    }
  });
}

// What is too wide or too high can be scrolled by the arrow keys; all else is no stop for Tab.
const boxes = every(".scroll");
const reach = () => {
  for (const box of boxes) {
    const scrolls = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
reach();
window.addEventListener("resize", reach);
document.addEventListener("toggle", reach, true);

// On paper nothing can be unfolded.
let unfolded = [];
window.addEventListener("beforeprint", () => {
  unfolded = every("details:not([open])").filter((each) => !each.closest("figure"));
  for (const each of unfolded) each.open = true;
});
window.addEventListener("afterprint", () => {
  for (const each of unfolded) each.open = false;
});

// Tables are sorted by a click on a heading, or by Enter on it.
for (const table of every("table.sortable")) {
  every("thead th", table).forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const falling = heading.getAttribute("aria-sort") !== "descending";
      every("thead th", table).forEach((each) => each.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const value = (row) => {
        const cell = row.cells[column];
        return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
      };
      const body = table.tBodies[0];
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        const order = typeof x === "number" ? x - y : x.localeCompare(y);
        return falling ? -order : order;
      });
      body.append(...rows);
      table.dispatchEvent(new Event("sorted"));
    });
  });
}

// The errors: the first of them, or all, or those that the reader asks for.
const errors = document.querySelector("table.errors");
if (errors) {
  const first = Number(errors.dataset.first);
  const filter = document.querySelector(".filter");
  const all = document.querySelector("button.all");
  // The words of the texts alone, without what is said of them.
  const texts = new Map(
    [...errors.tBodies[0].rows].map((row) => {
      const cell = row.cells[0].cloneNode(true);
      every(".unseen, .moved, summary", cell).forEach((each) => each.remove());
      return [row, cell.textContent.toLowerCase()];
    }),
  );
  let showAll = errors.tBodies[0].rows.length <= first;
  filter.hidden = false;
  const apply = () => {
    const { label, predicted, words } = filter.elements;
    const asked = words.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const narrowed = label.value || predicted.value || asked.length;
    let found = 0;
    let shown = 0;
    for (const row of errors.tBodies[0].rows) {
      const text = texts.get(row);
      const fits =
        (!label.value || row.dataset.label === label.value) &&
        (!predicted.value || row.dataset.predicted === predicted.value) &&
        asked.every((word) => text.includes(word));
      found += fits;
      row.hidden = !fits || !(showAll || narrowed || found <= first);
      shown += !row.hidden;
    }
    all.hidden = showAll || narrowed;
    filter.querySelector("output").textContent = `${shown} of ${errors.tBodies[0].rows.length} shown`;
  };
  filter.addEventListener("input", apply);
  filter.addEventListener("submit", (event) => event.preventDefault());
  errors.addEventListener("sorted", apply);
  all.addEventListener("click", () => {
    showAll = true;
    apply();
  });
  apply();
}
