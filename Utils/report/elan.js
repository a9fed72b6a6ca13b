"use strict";
// Fills the empty ELAN file that the report has of a video (Utils/evaluation/eaf_writer.py) with what a person has reviewed.
// Tiers, types, vocabularies and properties are those of that file; Utils/evaluation/eaf.py describes and reads them.

const EAF_BELOW = ["kind", "apex", "score"]; // tiers below that of a face

/** The present time as files have it: ISO 8601, without milliseconds. */
const timeNow = () => new Date().toISOString().replace(/\.\d+Z$/, "Z");

const eafTime = (frame, fps) => Math.max(0, Math.round((frame * 1000) / fps));

/** Start and end of an expression in milliseconds, at least 1 apart. */
function eafSpan(row) {
  const start = eafTime(row.onset, row.fps);
  return [start, Math.max(start + 1, eafTime(row.offset, row.fps))];
}

/** The rows in order of time, in as few layers as possible, so that none overlaps in its layer. */
function eafLayers(rows) {
  const layers = [[]];
  for (const row of [...rows].sort((a, b) => eafSpan(a)[0] - eafSpan(b)[0] || eafSpan(a)[1] - eafSpan(b)[1])) {
    let free = layers.find((layer) => !layer.length || eafSpan(layer.at(-1))[1] <= eafSpan(row)[0]);
    if (!free) layers.push((free = []));
    free.push(row);
  }
  return layers;
}

/** Adds annotations to an ELAN document, and gives them and their times names. */
class EafWriter {
  constructor(template) {
    this.document = new DOMParser().parseFromString(template, "application/xml");
    this.root = this.document.documentElement;
    this.times = []; // [milliseconds, attribute that gets the name of the slot]
    this.last = 0;
  }

  element(name, attributes, text) {
    const element = this.document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  tier(name) {
    return Array.from(this.root.getElementsByTagName("TIER")).find((tier) => tier.getAttribute("TIER_ID") === name);
  }

  /** The tier of a layer of a face, and the tiers below it. Those of further layers are copies of the first. */
  tiers(first, layer) {
    const name = layer === 0 ? first : `${first} (${layer + 1})`;
    if (!this.tier(name)) {
      const all = [first, ...EAF_BELOW.map((below) => `${first} ${below}`)].map((found) => this.tier(found));
      for (const tier of all.map((found) => found.cloneNode(false))) {
        tier.setAttribute("TIER_ID", tier.getAttribute("TIER_ID").replace(first, name));
        if (tier.hasAttribute("PARENT_REF")) tier.setAttribute("PARENT_REF", name);
        all[0].parentNode.insertBefore(tier, this.root.getElementsByTagName("LINGUISTIC_TYPE")[0]);
      }
    }
    return ["", ...EAF_BELOW].map((below) => this.tier(`${name} ${below}`.trim()));
  }

  add(tier, annotation, value) {
    const name = `a${++this.last}`;
    annotation.setAttribute("ANNOTATION_ID", name);
    annotation.append(this.element("ANNOTATION_VALUE", {}, value));
    const box = this.element("ANNOTATION", {});
    box.append(annotation);
    tier.append(box);
    return name;
  }

  addInterval(tier, start, end, value) {
    const annotation = this.element("ALIGNABLE_ANNOTATION", {});
    for (const [i, time] of [start, end].entries()) this.times.push([time, annotation, `TIME_SLOT_REF${i + 1}`]);
    return this.add(tier, annotation, value);
  }

  addBelow(tier, parent, value) {
    return this.add(tier, this.element("REF_ANNOTATION", { ANNOTATION_REF: parent }), value);
  }

  addRow([face, kind, apex, score], row, unnamed) {
    const [start, end] = eafSpan(row);
    const parent = this.addInterval(face, start, end, row.emotion ?? unnamed);
    this.addBelow(kind, parent, row.kind);
    if (row.apex !== null) {
      const at = Math.min(Math.max(start, eafTime(row.apex, row.fps)), end - 1);
      this.addInterval(apex, at, Math.max(at + 1, Math.min(end, eafTime(row.apex + 1, row.fps))), "apex");
    }
    if (row.score !== null) this.addBelow(score, parent, String(row.score));
  }

  /** Adds a word to the vocabulary of emotions if it is not there. */
  addWord(word) {
    const vocabulary = Array.from(this.root.getElementsByTagName("CONTROLLED_VOCABULARY")).find((v) => v.getAttribute("CV_ID") === "emotion");
    const entries = Array.from(vocabulary.getElementsByTagName("CV_ENTRY_ML"));
    if (entries.some((entry) => entry.textContent.trim() === word)) return;
    const entry = entries[0].cloneNode(true);
    entry.setAttribute("CVE_ID", `emotion_${entries.length}`);
    entry.getElementsByTagName("CVE_VALUE")[0].textContent = word;
    vocabulary.append(entry);
  }

  text(date, coder) {
    const order = this.root.getElementsByTagName("TIME_ORDER")[0];
    this.times.sort((a, b) => a[0] - b[0]);
    for (const [i, [time, annotation, attribute]] of this.times.entries()) {
      order.append(this.element("TIME_SLOT", { TIME_SLOT_ID: `ts${i + 1}`, TIME_VALUE: String(time) }));
      annotation.setAttribute(attribute, `ts${i + 1}`);
    }
    this.root.setAttribute("DATE", date);
    if (coder) {
      this.root.setAttribute("AUTHOR", coder);
      for (const tier of this.root.getElementsByTagName("TIER")) tier.setAttribute("ANNOTATOR", coder);
    }
    for (const property of this.root.getElementsByTagName("PROPERTY")) {
      if (property.getAttribute("NAME") === "lastUsedAnnotationId") property.textContent = String(this.last);
    }
    return new XMLSerializer().serializeToString(this.document);
  }
}

/** The ELAN file of a video. `rows` are those that are not rejected; `unnamed` stands for an unknown emotion. */
function eafOf(template, rows, unnamed, coder) {
  const writer = new EafWriter(template);
  const faces = new Map();
  for (const row of rows) faces.set(row.face, [...(faces.get(row.face) ?? []), row]);
  for (const [face, ofFace] of faces) {
    for (const [i, layer] of eafLayers(ofFace).entries()) {
      const tiers = writer.tiers(face === "" ? writer.root.getElementsByTagName("TIER")[0].getAttribute("TIER_ID") : `face ${face}`, i);
      for (const row of layer) {
        if (row.emotion !== null) writer.addWord(row.emotion);
        writer.addRow(tiers, row, unnamed);
      }
    }
  }
  return writer.text(timeNow(), coder);
}
