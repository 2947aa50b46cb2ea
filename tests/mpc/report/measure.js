// What a reader sees of a report: every text with its size on the screen and its contrast, every figure with its box.
const parse = (colour) => {
  const parts = colour.match(/[\d.]+/g).map(Number);
  return parts.length < 4 ? [...parts, 1] : parts;
};
const over = (front, back) => {
  const alpha = front[3] + back[3] * (1 - front[3]);
  return alpha ? [0, 1, 2].map((i) => (front[i] * front[3] + back[i] * back[3] * (1 - front[3])) / alpha).concat(alpha)
    : [0, 0, 0, 0];
};
const ground = (element) => {
  let colour = [0, 0, 0, 0];
  for (; element; element = element.parentElement) {
    colour = over(colour, parse(getComputedStyle(element).backgroundColor));
    if (colour[3] >= 1) return colour;
  }
  return over(colour, [255, 255, 255, 1]);
};
const luminance = (colour) => {
  const [r, g, b] = colour.slice(0, 3).map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};

const out = {texts: [], figures: [], wide: []};
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const element = walk.currentNode.parentElement, text = walk.currentNode.textContent.trim();
  if (!text || element.closest("title") || !element.getBoundingClientRect().width) continue;
  const style = getComputedStyle(element), svg = element.closest("svg");
  let back = ground(svg ? svg.parentElement : element);
  if (svg && element.getAttribute("font-weight")) {  // a number that stands on the node drawn just before it
    const dots = [...svg.querySelectorAll("use")].filter((u) => {
      const [a, b] = [u.getBoundingClientRect(), element.getBoundingClientRect()];
      return a.width > 15 && a.left <= b.left + 1 && a.right >= b.right - 1 && a.top <= b.top + 3 && a.bottom >= b.bottom - 3;
    });
    back = parse(getComputedStyle(dots.at(-1)).fill);
  }
  const a = luminance(over(parse(svg ? style.fill : style.color), back)), b = luminance(back);
  out.texts.push({
    text, svg: Boolean(svg), size: parseFloat(style.fontSize) * (svg ? svg.getScreenCTM().a : 1),
    contrast: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05),
  });
}
for (const svg of document.querySelectorAll("figure svg")) {
  const box = svg.getBoundingClientRect();
  const styles = [...svg.querySelectorAll("path, use")].map((each) => getComputedStyle(each));
  const texts = [...svg.querySelectorAll("text")].map((each) => each.getBoundingClientRect());
  out.figures.push({
    width: box.width, height: box.height, inner: svg.getBBox().width, paths: svg.querySelectorAll("path").length,
    colours: new Set(styles.map((style) => style.stroke + style.fill)).size, left: box.left, right: box.right,
    out: Math.max(0, ...texts.map((each) => Math.max(box.left - each.left, each.right - box.right))),
  });
}
for (const element of document.querySelectorAll("main *, header *")) {
  if (!element.closest("svg, .scroll") && element.getBoundingClientRect().right > innerWidth + 0.5) {
    out.wide.push(element.outerHTML.slice(0, 80));
  }
}
out.ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
out.dangling = [...document.querySelectorAll("[clip-path], use")]
  .map((each) => (each.getAttribute("clip-path") || each.getAttribute("href")).replace(/^url\(|\)$/g, "").slice(1))
  .filter((id) => !document.getElementById(id));
out.overflow = document.scrollingElement.scrollWidth - innerWidth;
return out;
