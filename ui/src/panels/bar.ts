// The bar of the price chart, from history or built from second bars.

export interface Bar {
  /** The start of the bar, in seconds since the epoch. */
  time: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
  trades: number;
}
