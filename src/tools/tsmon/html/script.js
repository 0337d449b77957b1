document.querySelectorAll("figure.plot").forEach(figure => {
  const svg = figure.querySelector("svg"), cursor = figure.querySelector(".cursor");
  const plot = JSON.parse(figure.querySelector("template").content.textContent);
  const number = key => parseFloat(svg.dataset[key]);
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  figure.append(tip);
  const leave = () => { tip.hidden = true; cursor.style.visibility = "hidden"; };
  svg.addEventListener("mouseleave", leave);
  svg.addEventListener("mousemove", event => {
    const box = svg.getBoundingClientRect(), width = svg.viewBox.baseVal.width;
    const x = (event.clientX - box.left) / box.width * width;
    const at = (x - number("left")) / (width - number("left") - number("right")) * number("seconds");
    let found = -1;
    plot.times.forEach((from, n) => { if (at >= from) found = n; });
    if (0 > found || at > number("seconds")) return leave();
    cursor.setAttribute("transform", `translate(${x} 0)`);
    cursor.style.visibility = "visible";
    const rows = [`from ${plot.times[found]} s on`];
    plot.lines.forEach(line => {
      const value = line.values[found];
      if (!value) return;
      const range = plot.bands ? ` (${value[0]} to ${value[2]})` : "";
      rows.push(`${line.name}: ${value[1]}${range} ${plot.unit}`);
    });
    tip.replaceChildren(...rows.map(row => {
      const line = document.createElement("div");
      line.textContent = row;
      return line;
    }));
    tip.hidden = false;
    const outer = figure.getBoundingClientRect();
    const left = event.clientX - outer.left + 14;
    tip.style.left = Math.max(4, Math.min(left, outer.width - tip.offsetWidth - 8)) + "px";
    tip.style.top = (event.clientY - outer.top + 14) + "px";
  });
});
