// Charts of the history, by uPlot.
import { h, duration } from './dom.js';

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// resolve turns a colour that CSS computes into one that a canvas takes.
function resolve(name) {
  const probe = h('span', {});
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color || colour(name);
  probe.remove();
  return value;
}

// chart shows series over time. Series are [label, key, colour]; format writes a value.
export function chart(title, samples, series, format = (v) => String(Math.round(v * 100) / 100)) {
  const box = h('figure', { class: 'chart', role: 'img', 'aria-label': title });
  const place = h('div', {});
  box.append(h('figcaption', {}, title), place);
  if (samples.length < 2) {
    place.append(h('p', {}, 'The first samples come within half a minute.'));
    return { box, draw() {} };
  }
  let plot = null;
  const draw = () => {
    const text = resolve('--faint');
    const axis = { stroke: text, grid: { stroke: resolve('--line'), width: 0.5 }, ticks: { stroke: resolve('--line') } };
    plot?.destroy();
    plot = new globalThis.uPlot({
      width: Math.max(240, place.clientWidth), height: 200, cursor: { y: false }, legend: { live: true },
      axes: [axis, { ...axis, size: 64, values: (_, values) => values.map((v) => (v === null ? '' : format(v))) }],
      series: [{ value: (_, v) => (v === null ? '–' : new Date(v * 1000).toISOString().slice(11, 19)) },
        ...series.map(([label, , name]) => ({ label, stroke: resolve(name), width: 2, value: (_, v) => (v === null ? '–' : format(v)) }))],
    }, [samples.map((s) => Date.parse(s.at) / 1000), ...series.map(([, key]) => samples.map((s) => s[key]))], place);
  };
  return { box, draw };
}

export const seconds = (v) => duration(v);
