// A button that opens a popup beneath it. Escape, a click outside or moving the focus away closes it.

import { h } from './lib/dom';

export function popup(
  opener: HTMLButtonElement,
  kind: 'menu' | 'form',
  fill: (close: () => void) => HTMLElement[],
): HTMLElement {
  const box = h('div', { class: `popup popup-${kind}` });
  box.hidden = true;
  const wrap = h('div', { class: 'popup-wrap' }, opener, box);
  opener.setAttribute('aria-expanded', 'false');

  const outside = (event: PointerEvent): void => {
    if (!wrap.contains(event.target as Node)) close();
  };
  const close = (): void => {
    if (box.hidden) return;
    const inside = box.contains(document.activeElement);
    box.hidden = true;
    opener.setAttribute('aria-expanded', 'false');
    removeEventListener('pointerdown', outside, true);
    if (inside) opener.focus();
  };
  const open = (): void => {
    box.replaceChildren(...fill(close));
    box.hidden = false;
    opener.setAttribute('aria-expanded', 'true');
    addEventListener('pointerdown', outside, true);
    keepOnScreen(box);
    focusable(box)[0]?.focus();
  };
  opener.addEventListener('click', () => (box.hidden ? open() : close()));
  wrap.addEventListener('keydown', (event) => {
    if (box.hidden) return;
    if (event.key === 'Escape') {
      event.stopPropagation();
      close();
    } else if (kind === 'menu' && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      event.preventDefault();
      const items = focusable(box);
      const at = items.indexOf(document.activeElement as HTMLElement);
      items[(at + (event.key === 'ArrowDown' ? 1 : items.length - 1)) % items.length]?.focus();
    }
  });
  wrap.addEventListener('focusout', (event) => {
    if (event.relatedTarget && !wrap.contains(event.relatedTarget as Node)) close();
  });
  return wrap;
}

function focusable(box: HTMLElement): HTMLElement[] {
  return [...box.querySelectorAll<HTMLElement>('a, button, input, select')];
}

function keepOnScreen(box: HTMLElement): void {
  box.style.transform = '';
  const edge = box.getBoundingClientRect();
  const over = edge.right - (document.documentElement.clientWidth - 8);
  const under = 8 - edge.left;
  if (over > 0) box.style.transform = `translateX(${-over}px)`;
  else if (under > 0) box.style.transform = `translateX(${under}px)`;
}
