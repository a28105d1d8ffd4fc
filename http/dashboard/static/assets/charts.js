// Charts of the history, by uPlot. Each keeps its place on the page, and is told of new samples.
import { h, duration } from './dom.js';

// resolve turns a colour that CSS computes into one that a canvas takes.
function resolve(name) {
  const probe = h('span', {});
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

const label = (v) => (v === null || v === undefined ? '–' : new Date(v * 1000).toISOString().slice(11, 19));

// chart shows series over time. Series are [label, key, colour]; format writes a value. place makes the element for it;
// draw fills the one that is on the page, once it is there.
export function chart(title, series, format = (v) => String(Math.round(v * 100) / 100)) {
  const keep = `chart-${title}`;
  let plot = null;
  let drawn = '';
  const place = (samples) => h('figure', { class: 'chart' }, h('figcaption', {}, title),
    // For who sees no picture: what it says now.
    h('p', { class: 'unseen' }, series.map(([name, key]) => `${name} ${format(samples.at(-1)?.[key] ?? 0)}`).join(', ')),
    samples.length < 2 ? h('p', { class: 'empty' }, 'The first samples come within half a minute.') : h('div', { 'data-keep': keep, 'aria-hidden': 'true' }));
  const draw = (samples) => {
    const box = document.querySelector(`[data-keep="${CSS.escape(keep)}"]`);
    if (!box || samples.length < 2) return;
    const data = [samples.map((s) => Date.parse(s.at) / 1000), ...series.map(([, key]) => samples.map((s) => s[key]))];
    const wanted = `${box.clientWidth} ${resolve('--text')}`;
    if (plot && box.contains(plot.root) && drawn === wanted) {
      plot.setData(data);
      return;
    }
    plot?.destroy();
    drawn = wanted;
    const faint = { stroke: resolve('--faint'), grid: { stroke: resolve('--line'), width: 0.5 }, ticks: { stroke: resolve('--line') } };
    plot = new globalThis.uPlot({
      width: Math.max(240, box.clientWidth), height: 170, cursor: { y: false },
      scales: { y: { range: (u, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [{ ...faint, space: 80, values: (_, values) => values.map(label) }, { ...faint, size: 64, values: (_, values) => values.map((v) => (v === null ? '' : format(v))) }],
      series: [{ label: 'UTC', value: (_, v) => label(v) },
        ...series.map(([name, , colour]) => ({ label: name, stroke: resolve(colour), width: 2, value: (_, v) => (v === null || v === undefined ? '–' : format(v)) }))],
    }, data, box);
  };
  return { place, draw };
}

export const seconds = (v) => duration(v);
