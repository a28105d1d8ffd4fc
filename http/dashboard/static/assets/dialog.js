// Questions, and help, as dialogs of the browser: they hold the focus, and Escape closes them.
import { h } from './dom.js';

function open(dialog) {
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      done(dialog.returnValue === 'yes');
    });
  });
}

// ask asks before something is done; label says what, in the words of its button.
export function ask(question, label) {
  const dialog = h('dialog', { 'aria-labelledby': 'question' }, h('p', { id: 'question' }, question));
  dialog.append(h('div', { class: 'actions' },
    h('button', { type: 'button', class: 'main', autofocus: true, onclick: () => dialog.close('yes') }, label),
    h('button', { type: 'button', onclick: () => dialog.close('') }, 'Leave it')));
  return open(dialog);
}

// help lists what the keys do.
export function help(menu) {
  if (document.querySelector('dialog')) return;
  const keys = [...menu.map(([, name], i) => [String(i + 1), name]), ['/', 'To the filters'], ['j, k', 'To the next and the previous row'], ['Enter', 'Open it'], ['?', 'This list']];
  const dialog = h('dialog', { 'aria-labelledby': 'keys' }, h('h2', { id: 'keys' }, 'Keys'),
    h('dl', { class: 'keys' }, keys.map(([key, what]) => h('div', {}, h('dt', {}, h('kbd', {}, key)), h('dd', {}, what)))));
  dialog.append(h('div', { class: 'actions' }, h('button', { type: 'button', class: 'main', autofocus: true, onclick: () => dialog.close('') }, 'Close')));
  open(dialog);
}
