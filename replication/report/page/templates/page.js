"use strict";
(() => {
  const { specs, themes } = JSON.parse(document.getElementById("drawn").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let drawing = 0;

  async function draw() {
    const turn = ++drawing;
    const page = document.documentElement;
    page.dataset.pictures = "drawing";
    for (const place of document.querySelectorAll("[data-picture]")) {
      const spec = specs[place.dataset.picture];
      const name = (spec.title || place.closest("figure").firstElementChild.textContent).trim();
      await vegaEmbed(place, spec, {
        mode: "vega-lite",
        renderer: "svg",
        logLevel: 1,
        config: themes[dark.matches ? "dark" : "light"],
        actions: { export: { svg: true, png: true }, source: false, compiled: false, editor: false },
        downloadFileName: name.replace(/[^\w.-]+/g, "-"),
        scaleFactor: 2,
        defaultStyle: "/* the page's own */",
        tooltip: { disableDefaultStyle: true },
        i18n: { CLICK_TO_VIEW_ACTIONS: `Save the picture: ${name}` },
      });
      const summary = place.querySelector("summary");
      summary.setAttribute("aria-label", `Save the picture: ${name}`);
      summary.textContent = "save";
      await new Promise((done) => setTimeout(done));
      if (turn !== drawing) return;
    }
    page.dataset.pictures = "drawn";
  }

  function filter(form) {
    const claims = [...form.parentElement.querySelectorAll(".claim")];
    const boxes = [...form.querySelectorAll("input")];
    const chosen = (name) => boxes.filter((b) => b.name === name && b.checked).map((b) => b.value);
    const allows = (wanted, value) => !wanted.length || wanted.includes(value);
    const facets = { verdict: chosen("verdict"), evidence: chosen("evidence"), "made by": chosen("made by") };

    const judged = (mark, wanted) =>
      allows(wanted.verdict, mark.dataset.verdict) && allows(wanted.evidence, mark.dataset.evidence);
    const matches = (claim, wanted) =>
      allows(wanted["made by"], claim.dataset.madeBy) &&
      ((!wanted.verdict.length && !wanted.evidence.length) ||
        [...claim.querySelectorAll(".judged")].some((mark) => judged(mark, wanted)));

    let found = 0;
    for (const claim of claims) {
      claim.hidden = !matches(claim, facets);
      found += !claim.hidden;
      for (const part of claim.querySelectorAll("[data-verdict]")) part.hidden = !judged(part, facets);
    }
    for (const box of boxes) {
      const wanted = { ...facets, [box.name]: [box.value] };
      box.parentElement.querySelector(".count").textContent = claims.filter((c) => matches(c, wanted)).length;
    }
    form.querySelector("[role=status]").textContent =
      found === claims.length ? `All ${found} claims` : `${found} of ${claims.length} claims`;
  }

  for (const form of document.querySelectorAll(".filters")) {
    form.addEventListener("change", () => filter(form));
    form.addEventListener("submit", (event) => event.preventDefault());
    filter(form);
  }
  dark.addEventListener("change", draw);
  draw();
})();
