// Describes events: in words, and by a sign whose shape says the same as its colour.

import { fixed, percent } from '../lib/format';
import type { LiveEvent } from '../live';

export function sign(event: LiveEvent): string {
  switch (event.side) {
    case 'golden':
    case 'Buy':
    case 'Up':
      return '▲';
    case 'death':
    case 'Sell':
    case 'Down':
      return '▼';
    case 'High':
      return '◆';
    case 'Low':
      return '◇';
    default:
      return event.kind === 'rule' ? '!' : '•';
  }
}

export function signTone(event: LiveEvent): 'up' | 'down' | 'warn' | 'muted' {
  if (event.kind === 'anomaly' || event.kind === 'rule') return 'warn';
  if (event.side === 'golden' || event.side === 'Buy' || event.side === 'Up') return 'up';
  if (event.side === 'death' || event.side === 'Sell' || event.side === 'Down') return 'down';
  return 'muted';
}

export function words(event: LiveEvent): string {
  const confirmed = event.confirmed === null ? '' : event.confirmed ? ', confirmed' : ', unconfirmed';
  switch (event.kind) {
    case 'cross':
      return `${event.side === 'golden' ? 'Golden cross' : 'Death cross'}${confirmed}`;
    case 'signal':
      return `Signal ${event.side ?? ''}`;
    case 'anomaly':
      return `Anomaly ${(event.side ?? '').toLowerCase()}, z ${fixed(event.value, 2)}`;
    case 'price_alert':
      return `Price ${(event.side ?? '').toLowerCase()} ${percent(event.value)}`;
    case 'rule':
      return `Rule ${event.name}`;
  }
}
