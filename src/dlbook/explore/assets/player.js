/* Explorers of a static page. The markup (see page.py) holds native controls, the first picture and all pictures,
   packed; this script unpacks them and shows the one that the controls ask for. No kernel, no server, no library. */
(() => {
  "use strict";

  const FRAME_MS = 150;
  const stillness = window.matchMedia("(prefers-reduced-motion: reduce)");

  async function unpack(base64) {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }

  class Explorer {
    constructor(figure) {
      this.figure = figure;
      this.picture = figure.querySelector(".dl-picture");
      this.inputs = [...figure.querySelectorAll("input, select")];
      this.outputs = [...figure.querySelectorAll("output")];
      this.texts = [...figure.querySelectorAll("label")].map((label) => label.textContent);
      this.link = figure.querySelector(".dl-link");
      Object.assign(this, JSON.parse(figure.querySelector(".dl-state").textContent));
      this.opening = this.inputs.map((input) => this.read(input));
      this.shown = this.frameIndex();
      this.timer = null;
    }

    async start() {
      const packed = this.figure.querySelector(".dl-frames");
      Object.assign(this, await unpack(packed.textContent));
      packed.remove();
      this.inputs.forEach((input) => {
        input.addEventListener("input", () => { this.stop(); this.update(); });
        input.addEventListener("change", () => history.replaceState(null, "", this.link.hash));
      });
      this.figure.querySelector(".dl-reset").addEventListener("click", () => { this.stop(); this.set(this.opening); });
      this.link.addEventListener("click", () => navigator.clipboard?.writeText(this.link.href).catch(() => {}));
      this.button = this.figure.querySelector(".dl-play");
      if (this.button) this.preparePlay();
      this.follow();
      this.update();
      this.figure.dataset.ready = "true";
    }

    read(input) {
      return input.type === "checkbox" ? Number(input.checked) : Number(input.value);
    }

    write(input, index) {
      if (input.type === "checkbox") input.checked = Boolean(index);
      else input.value = index;
    }

    set(indices) {
      this.inputs.forEach((input, i) => this.write(input, indices[i]));
      this.update();
    }

    frameIndex() {
      return this.inputs.reduce((index, input, i) => index * this.labels[i].length + this.read(input), 0);
    }

    /* Bring read-outs, picture and link in line with the controls. */
    update() {
      const values = this.inputs.map((input, i) => this.labels[i][this.read(input)]);
      const said = this.texts.map((text, i) => `${text} ${values[i]}`);
      this.inputs.forEach((input, i) => {
        this.outputs[i].textContent = values[i];
        if (input.type === "range") input.setAttribute("aria-valuetext", said[i]);
      });
      this.picture.setAttribute("aria-label", `${this.alt} (${said.join(", ")})`);
      const state = this.inputs.map((input, i) => `${input.name}=${encodeURIComponent(values[i])}`);
      this.link.href = `#${this.figure.id}:${state.join(",")}`;
      const index = this.frameIndex();
      if (index === this.shown) return;
      this.picture.innerHTML = this.markup(index);
      this.shown = index;
    }

    markup(index) {
      const runs = this.frames[index];
      const lines = [];
      for (let i = 0; i < runs.length; i += 2) {
        for (let k = 0; k < runs[i + 1]; k += 1) lines.push(this.pool[runs[i] + k]);
      }
      return lines.join("\n");
    }

    preparePlay() {
      this.time = this.button.parentElement.querySelector("input");
      if (stillness.matches) this.button.textContent = "Step";
      this.button.addEventListener("click", () => {
        if (this.timer) { this.stop(); return; }
        if (Number(this.time.value) === Number(this.time.max)) this.time.value = 0;
        else this.time.value = Number(this.time.value) + 1;
        this.update();
        if (stillness.matches) return;
        this.button.textContent = "Pause";
        this.timer = setInterval(() => this.tick(), FRAME_MS);
      });
    }

    tick() {
      if (Number(this.time.value) === Number(this.time.max)) { this.stop(); return; }
      this.time.value = Number(this.time.value) + 1;
      this.update();
    }

    stop() {
      if (!this.timer) return;
      clearInterval(this.timer);
      this.timer = null;
      this.button.textContent = "Play";
    }

    /* Show the state that the address names: #id:lr=0.3,momentum=0.9. What it names wrongly is left alone. */
    follow() {
      const [id, state] = location.hash.slice(1).split(/:(.*)/s);
      if (id !== this.figure.id || state === undefined) return;
      this.stop();
      state.split(",").forEach((pair) => {
        const [name, value] = pair.split("=").map(decode);
        const i = this.inputs.findIndex((input) => input.name === name);
        const index = i < 0 || value === undefined ? -1 : nearest(this.labels[i], value);
        if (index >= 0) this.write(this.inputs[i], index);
      });
      this.update();
      this.figure.scrollIntoView({ block: "center" });
    }
  }

  function decode(text) {
    try { return decodeURIComponent(text); } catch { return text; }
  }

  /* The label itself, or the nearest number: a lecturer may type lr=0.3 where the slider has 0.316. */
  function nearest(labels, value) {
    const exact = labels.indexOf(value);
    if (exact >= 0 || value.trim() === "" || Number.isNaN(Number(value))) return exact;
    const distances = labels.map((label) => Math.abs(Number(label) - Number(value)));
    return distances.some(Number.isNaN) ? -1 : distances.indexOf(Math.min(...distances));
  }

  const explorers = [...document.querySelectorAll(".dl-explorer")].map((figure) => new Explorer(figure));
  explorers.forEach((explorer) => explorer.start());
  window.addEventListener("hashchange", () => explorers.forEach((explorer) => explorer.follow()));
})();
