"use strict";
// Whatever comes from a note, a table or the server is set as text, never as markup.

const at = (id) => document.getElementById(id);
const percent = (share) => `${(share * 100).toFixed(share > 0.999 && share < 1 ? 2 : 1)}%`;
const LEAST = 0.005; // Smaller shares are chance.
const ROWS_SHOWN = 5; // of a scored table,
const BYTES_SHOWN = 65536; // and what is read of it for that
let model = null;
let limits = null;
let token = "";
let given = null; // the address of the scored table

at("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : window.matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

function tell(id, text) {
  at(id).textContent = text;
  at(id).hidden = !text;
}

function listInto(id, sentences) {
  at(id).replaceChildren(
    ...sentences.map((text) => {
      const item = document.createElement("li");
      item.className = "warning";
      item.textContent = text;
      return item;
    }),
  );
}

function row(...cells) {
  const line = document.createElement("tr");
  for (const cell of cells) {
    const made = document.createElement("td");
    made.append(cell);
    line.append(made);
  }
  return line;
}

// The first records of a CSV text as the server writes it; one that is cut off is none.
function records(csv, most) {
  const found = [];
  let record = [];
  for (const [, cell, end] of csv.matchAll(/("[^"]*(?:""[^"]*)*"|[^",\n]*)([,\n])/gy)) {
    record.push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    if (end === ",") continue;
    found.push(record);
    record = [];
    if (found.length === most) break;
  }
  return found;
}

// Ask the server; a refusal becomes an error with its reason.
async function ask(path, how = {}) {
  const headers = { ...how.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(path, { ...how, headers });
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  let reason = `The server refused (${answer.status}).`;
  try {
    reason = (await answer.json()).reason || reason;
  } catch {
    // No reason is told.
  }
  if (answer.status === 401) at("locked").hidden = false;
  throw new Error(reason);
}

const named = (label) => {
  const name = model && model.label_names[label];
  return name ? `${label} ${name}` : label;
};
const quoted = (label) => `“${named(label)}”`;

async function introduce() {
  const found = await (await ask("ready")).json();
  model = found.model;
  limits = found.limits;
  at("title").textContent = model.title || "Text classifier";
  // A long address is broken between its parts.
  const pieces = model.address.split(/(?<=[/\\])/);
  at("address").replaceChildren(...pieces.flatMap((each) => [each, document.createElement("wbr")]));
  at("usual").textContent = `, if it is not “${model.text_column}”`;
  at("column").placeholder = model.text_column;
  const parts = [`labels: ${model.classes.map(quoted).join(", ")}`];
  if (model.version) parts.unshift(`version ${model.version}`);
  if (model.trained) parts.push(`trained ${model.trained.slice(0, 10)}`);
  at("about").textContent = parts.join(" · ");
  tell("stale", found.problem || "");
  const size = limits.table_bytes / 1048576;
  at("largest").textContent = `, of at most ${size < 1 ? `${limits.table_bytes} bytes` : `${+size.toFixed(1)} MB`}`;
}

// The text as it was given, with the words marked; if they are not found in it, the words alone.
function wordsIn(text, words) {
  const most = Math.max(...words.map((each) => Math.abs(each.contribution)), LEAST);
  const marked = (shown, share) => {
    if (Math.abs(share) < LEAST) return document.createTextNode(shown);
    const mark = document.createElement("mark");
    mark.className = share > 0 ? "for" : "against";
    mark.style.setProperty("--share", (Math.abs(share) / most).toFixed(2));
    mark.title = `${share > 0 ? "+" : ""}${share.toFixed(3)}`;
    mark.textContent = shown;
    return mark;
  };
  const lowered = text.toLowerCase();
  const pieces = [];
  let place = 0;
  let whole = lowered.length === text.length;
  for (const each of words) {
    const begin = lowered.indexOf(each.word, place);
    if (begin < 0) whole = false;
    if (!whole) break;
    pieces.push(document.createTextNode(text.slice(place, begin)));
    place = begin + each.word.length;
    pieces.push(marked(text.slice(begin, place), each.contribution));
  }
  if (whole) pieces.push(document.createTextNode(text.slice(place)));
  return whole ? pieces : words.flatMap((each) => [marked(each.word, each.contribution), " "]);
}

// Several labels: what moved each, one below the other.
function setWords(text, explanations) {
  return explanations.flatMap((each) => {
    const name = document.createElement("b");
    name.textContent = `${each.decided ? "" : "not "}${named(each.label)} (${percent(each.probability)}): `;
    return [name, ...wordsIn(text, each.words), document.createElement("br")];
  });
}

const listed = (labels) => (labels.length ? labels.map(quoted).join(", ") : "None of the labels");

function showAnswer(text, found) {
  const toPerson = found.decision === "review";
  const sets = Boolean(model.multi_label);
  const label = found.explanation ? found.explanation.label : found.label;
  const share = found.probabilities[label];
  if (sets) {
    at("verdict").textContent = toPerson
      ? `A person should decide. The model leans to: ${listed(found.labels)}.`
      : `${listed(found.labels)}. The least probable of these decisions is right with a probability of ${percent(found.probability)}.`;
  } else at("verdict").textContent = toPerson
    ? `A person should decide. The model leans to ${quoted(label)}, with a probability of ${percent(share)}.`
    : `${quoted(found.decision)}, with a probability of ${percent(share)}.`;
  at("verdict").classList.toggle("review", toPerson);
  const least = sets ? 0.5 : 1 / model.classes.length;
  const scaled = (value) => Math.min(Math.max((value - least) / (1 - least), 0), 1);
  at("certainty").style.setProperty("--at", scaled(found.certainty));
  at("certainty").style.setProperty("--band", model.review_below ? scaled(model.review_below) : 0);
  at("least").textContent = percent(least);
  at("certainty").querySelector(".person").hidden = !model.review_below;
  tell("limit", model.review_below ? percent(model.review_below) : "");
  let band = sets
    ? `Its least certain label is ${percent(found.certainty)} certain. `
    : `The decision is ${percent(found.certainty)} certain. `;
  band += model.review_below
    ? `Below ${percent(model.review_below)}, the hatched part, a person decides.`
    : "The model was trained without a review band: it decides every note.";
  if (model.threshold !== null) {
    band += ` ${quoted(model.classes[1])} is decided above a probability of ${percent(model.threshold)}.`;
  }
  at("band").textContent = band;
  const cautions = [];
  if (!found.tokens) cautions.push("The note holds no word: the answer says nothing.");
  else if (found.unknown_tokens) {
    cautions.push(`The model does not know ${found.unknown_tokens} of its ${found.tokens} words and signs.`);
  }
  if (found.number_outside_range) {
    cautions.push("A number lies outside the range that the model was trained on: it is read as the nearest end.");
  }
  listInto("cautions", cautions);
  const several = found.explanations || [];
  const words = found.explanation ? found.explanation.words : several.flatMap((each) =>
    each.words.map((one) => ({ ...one, word: `${named(each.label)}: ${one.word}` })));
  at("words").replaceChildren(...(sets ? setWords(text, several) : wordsIn(text, words)));
  at("reference").textContent = several.length
    ? "Each label is compared with notes in which it is decided otherwise."
    : found.explanation
    ? `Compared with notes that are decided otherwise, whose mean probability of ${quoted(label)} is ${percent(found.explanation.reference)}.`
    : "This model was saved without what explains it.";
  at("contributions").replaceChildren(
    ...words.map((each) => {
      const line = row(each.word, `${each.contribution > 0 ? "+" : ""}${each.contribution.toFixed(4)}`);
      line.lastChild.className = "n";
      return line;
    }),
  );
  const labels = Object.entries(found.probabilities).sort((a, b) => b[1] - a[1]).slice(0, 10);
  at("labels").replaceChildren(
    ...labels.map(([each, value]) => {
      const meter = document.createElement("span");
      meter.className = "bar";
      meter.style.setProperty("--value", value.toFixed(4));
      meter.setAttribute("aria-hidden", "true");
      const line = row(sets && found.labels.includes(each) ? `✓ ${named(each)}` : named(each), meter);
      line.lastChild.append(percent(value));
      return line;
    }),
  );
  at("answer").hidden = false;
}

// One question at a time: the button is still while it runs.
function answers(form, problem, work) {
  at(form).addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = at(form).querySelector("button");
    button.disabled = true;
    tell(problem, "");
    try {
      if (!model) await introduce();
      await work();
    } catch (error) {
      tell(problem, error.message);
    } finally {
      button.disabled = false;
    }
  });
}

answers("ask", "told", async () => {
  const text = at("note").value;
  at("answer").hidden = true;
  if (!text.trim()) {
    at("note").focus();
    throw new Error("There is nothing to decide yet: paste a note.");
  }
  const answer = await ask("predict", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ text, explain: model.explains }),
  });
  const found = await answer.json();
  // The alias may have moved since.
  if (found.model.version !== model.version) await introduce();
  showAnswer(text, found.predictions[0]);
});

at("note").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    at("ask").requestSubmit();
  }
});

// How long the server has been at it, for as long as it is.
async function whileWaiting(file, work) {
  const began = Date.now();
  const count = () => {
    at("seconds").textContent = `${Math.round((Date.now() - began) / 1000)} s`;
  };
  at("sent").textContent = `Scoring ${file.name} (${file.size.toLocaleString("en")} bytes)`;
  count();
  at("scoring").hidden = false;
  const timer = setInterval(count, 1000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    at("scoring").hidden = true;
  }
}

// The notes of the first rows, and what is new in them.
async function showPreview(table, column) {
  const [header, ...rows] = records(await table.slice(0, BYTES_SHOWN).text(), ROWS_SHOWN + 1);
  if (!header) return; // Its first record alone is longer.
  const note = header.indexOf(column);
  const head = document.createElement("tr");
  for (const name of [header[note], ...header.slice(-3)]) {
    const made = document.createElement("th");
    made.scope = "col";
    made.textContent = name;
    head.append(made);
  }
  at("preview").tHead.replaceChildren(head);
  at("preview").tBodies[0].replaceChildren(
    ...rows.map((cells) => {
      const [label, probability, decision] = cells.slice(-3);
      const text = cells[note].length > 200 ? `${cells[note].slice(0, 200)}…` : cells[note];
      const line = row(text, label && (model.multi_label ? label : named(label)), probability && percent(+probability), decision && (model.multi_label ? decision : named(decision)));
      line.lastChild.classList.toggle("review", decision === "review");
      return line;
    }),
  );
}

answers("score", "refused", async () => {
  const file = at("file").files[0];
  at("scored").hidden = true;
  if (file.size > limits.table_bytes) {
    throw new Error(`${file.name} has ${file.size.toLocaleString("en")} bytes; ${limits.table_bytes.toLocaleString("en")} are allowed. For larger tables: textgauge score.`);
  }
  const column = at("column").value.trim();
  const [answer, table] = await whileWaiting(file, async () => {
    const found = await ask(column ? `score?text=${encodeURIComponent(column)}` : "score", {
      method: "POST",
      headers: { "Content-Type": "text/csv" },
      body: file,
    });
    return [found, await found.blob()];
  });
  const rows = Number(answer.headers.get("X-Textgauge-Rows"));
  const review = Number(answer.headers.get("X-Textgauge-Review"));
  listInto("warnings", JSON.parse(answer.headers.get("X-Textgauge-Warnings") || "[]"));
  if (given) URL.revokeObjectURL(given);
  given = URL.createObjectURL(table);
  at("download").href = given;
  at("download").download = `${file.name.replace(/\.[^.]*$/, "")}-scored.csv`;
  at("counts").textContent =
    `${rows.toLocaleString("en")} rows are scored` +
    (review ? `; ${review.toLocaleString("en")} of them are for a person to decide.` : ".");
  await showPreview(table, column || model.text_column);
  at("scored").hidden = false;
});

at("locked").addEventListener("submit", async (event) => {
  event.preventDefault();
  token = at("token").value.trim();
  try {
    await introduce();
    at("locked").hidden = true;
    tell("told", "");
  } catch (error) {
    tell("told", error.message);
  }
});

introduce().catch((error) => tell("told", error.message));
