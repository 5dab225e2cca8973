// The price chart in lightweight-charts: candles, averages and volume. It doesn't know where bars come from. Rising
// bars are hollow and falling ones filled, so that reading it needs no colour.

import {
  CandlestickSeries,
  HistogramSeries,
  LineSeries,
  LineStyle,
  TickMarkType,
  createChart,
  createSeriesMarkers,
  type IChartApi,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  type SeriesMarker,
  type Time,
  type UTCTimestamp,
} from 'lightweight-charts';
import { decimals } from '../lib/format';
import * as time from '../lib/time';
import type { Indicator } from '../state';
import { alpha, colors } from '../theme';
import type { Bar } from './bar';
import { meanClose } from './bars';

export const AVERAGES: { name: Indicator; n: number; title: string; series: number; style: LineStyle; sign: string }[] =
  [
    { name: 'ma5', n: 5, title: 'MA 5', series: 4, style: LineStyle.Dotted, sign: '┈' },
    { name: 'sma9', n: 9, title: 'SMA 9', series: 2, style: LineStyle.Solid, sign: '━' },
    { name: 'ma10', n: 10, title: 'MA 10', series: 7, style: LineStyle.Dashed, sign: '╌' },
    { name: 'ma20', n: 20, title: 'MA 20', series: 8, style: LineStyle.LargeDashed, sign: '╍' },
    { name: 'sma21', n: 21, title: 'SMA 21', series: 5, style: LineStyle.Solid, sign: '━' },
  ];

export class PriceChart {
  private readonly chart: IChartApi;
  private readonly candles: ISeriesApi<'Candlestick'>;
  private readonly volume: ISeriesApi<'Histogram'>;
  private readonly lines = new Map<Indicator, ISeriesApi<'Line'>>();
  private readonly markers: ISeriesMarkersPluginApi<Time>;
  private bars: Bar[] = [];
  /** The times of the bars as they were drawn; the list of bars may have changed since. */
  private readonly times: number[] = [];
  private digits = 2;
  private crosshair: number | null = null;
  /** Called with the index of the bar under the crosshair; null if there is none. */
  onCrosshair: (at: number | null) => void = () => {};

  constructor(
    box: HTMLElement,
    private zone: string,
    private step: number,
  ) {
    this.chart = createChart(box, { autoSize: true, layout: { attributionLogo: false } });
    this.candles = this.chart.addSeries(CandlestickSeries, { priceLineStyle: LineStyle.Dotted });
    this.volume = this.chart.addSeries(
      HistogramSeries,
      { priceFormat: { type: 'volume' }, priceLineVisible: false, lastValueVisible: false },
      1,
    );
    for (const average of AVERAGES) {
      const line = this.chart.addSeries(LineSeries, {
        lineWidth: 1,
        lineStyle: average.style,
        priceLineVisible: false,
        lastValueVisible: false,
        crosshairMarkerVisible: false,
      });
      this.lines.set(average.name, line);
    }
    this.markers = createSeriesMarkers(this.candles, []);
    this.chart.panes()[0]?.setStretchFactor(4);
    this.chart.panes()[1]?.setStretchFactor(1);
    this.chart.subscribeCrosshairMove((move) => {
      this.crosshair = move.logical === undefined ? null : Math.round(move.logical);
      this.onCrosshair(this.crosshair !== null && this.bars[this.crosshair] ? this.crosshair : null);
    });
    this.restyle(zone, step);
  }

  restyle(zone: string, step: number): void {
    this.zone = zone;
    this.step = step;
    const c = colors();
    this.chart.applyOptions({
      layout: {
        background: { color: c.panel },
        textColor: c.muted,
        fontFamily: c.font,
        fontSize: 11,
        panes: { separatorColor: c.line, separatorHoverColor: alpha(c.accent, 0.3) },
      },
      grid: { vertLines: { color: alpha(c.line, 0.55) }, horzLines: { color: alpha(c.line, 0.55) } },
      crosshair: {
        vertLine: { color: c.muted, labelBackgroundColor: c.raised },
        horzLine: { color: c.muted, labelBackgroundColor: c.raised },
      },
      rightPriceScale: { borderColor: c.line, minimumWidth: 64 },
      timeScale: {
        borderColor: c.line,
        timeVisible: true,
        secondsVisible: step < 60,
        rightOffset: 4,
        minBarSpacing: 0.2,
        tickMarkFormatter: (at: Time, kind: TickMarkType) => this.axisLabel((at as number) * 1000, kind),
      },
      localization: { timeFormatter: (at: Time) => this.label((at as number) * 1000) },
    });
    this.candles.applyOptions({
      upColor: c.panel,
      borderUpColor: c.up,
      wickUpColor: c.up,
      downColor: c.down,
      borderDownColor: c.down,
      wickDownColor: c.down,
      priceLineColor: c.muted,
    });
    for (const { name, series } of AVERAGES) this.lines.get(name)?.applyOptions({ color: c.series[series - 1]! });
  }

  /** Daily bars start at midnight UTC: a zone behind UTC would label them with the day before. */
  private get labelZone(): string {
    return this.step >= 86_400 ? 'UTC' : this.zone;
  }

  /**
   * The library starts days at midnight UTC. In other zones, the first bar of a new date gets the date as its label.
   */
  private axisLabel(ms: number, kind: TickMarkType): string {
    const zone = this.labelZone;
    if (this.step >= 86_400) return kind <= TickMarkType.Month ? time.month(ms, zone) : time.dayMonth(ms, zone);
    const before = this.bars[this.indexAt(ms / 1000) - 1];
    if (before && time.date(before.time * 1000, zone) !== time.date(ms, zone)) return time.dayMonth(ms, zone);
    return time.clock(ms, zone, kind === TickMarkType.TimeWithSeconds);
  }

  private indexAt(seconds: number): number {
    let [low, high] = [0, this.bars.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.bars[middle]!.time < seconds) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  label(ms: number): string {
    return this.step >= 86_400 ? time.date(ms, 'UTC') : time.dateTime(ms, this.zone, this.step < 60);
  }

  showIndicators(indicators: Indicator[]): void {
    for (const { name } of AVERAGES) this.lines.get(name)?.applyOptions({ visible: indicators.includes(name) });
    const volume = indicators.includes('volume');
    this.volume.applyOptions({ visible: volume });
    this.chart.panes()[1]?.setStretchFactor(volume ? 1 : 0.001);
  }

  private volumeOf(bar: Bar): { time: UTCTimestamp; value: number; color: string } {
    const c = colors();
    return {
      time: bar.time as UTCTimestamp,
      value: bar.volume,
      color: alpha(bar.close >= bar.open ? c.up : c.down, 0.45),
    };
  }

  /** Draws the bars from an index on; 0 redraws all of them. */
  draw(bars: Bar[], from: number): void {
    const redraw = from === 0 || !this.isAppend(bars, from);
    const drawn = this.times.length;
    this.bars = bars;
    this.times.length = redraw ? 0 : from;
    for (let at = this.times.length; at < bars.length; at += 1) this.times.push(bars[at]!.time);
    if (redraw) {
      this.digits = Math.max(2, ...bars.slice(-20).map((bar) => decimals(bar.close)));
      const format = { type: 'price' as const, precision: this.digits, minMove: 10 ** -this.digits };
      this.candles.applyOptions({ priceFormat: format });
      this.candles.setData(bars.map((bar) => ({ ...bar, time: bar.time as UTCTimestamp })));
      this.volume.setData(bars.map((bar) => this.volumeOf(bar)));
      for (const { name, n } of AVERAGES) {
        const points: { time: UTCTimestamp; value: number }[] = [];
        bars.forEach((bar, at) => {
          const value = meanClose(bars, at, n);
          if (value !== null) points.push({ time: bar.time as UTCTimestamp, value });
        });
        this.lines.get(name)?.applyOptions({ priceFormat: format });
        this.lines.get(name)?.setData(points);
      }
      return;
    }
    for (let at = from; at < bars.length; at += 1) {
      const bar = bars[at]!;
      const older = at < drawn - 1;
      this.candles.update({ ...bar, time: bar.time as UTCTimestamp }, older);
      this.volume.update(this.volumeOf(bar), older);
      for (const { name, n } of AVERAGES) {
        const value = meanClose(bars, at, n);
        if (value !== null) this.lines.get(name)?.update({ time: bar.time as UTCTimestamp, value }, older);
      }
    }
  }

  /** Whether the bars from an index on update or follow drawn ones; a bar inserted between others needs a redraw. */
  private isAppend(bars: Bar[], from: number): boolean {
    if (this.times.length === 0 || bars.length < this.times.length || from > this.times.length) return false;
    for (let at = from; at < this.times.length; at += 1) if (bars[at]!.time !== this.times[at]) return false;
    return true;
  }

  setMarkers(markers: SeriesMarker<UTCTimestamp>[]): void {
    this.markers.setMarkers(markers as SeriesMarker<Time>[]);
  }

  /** Shows all bars, or only the last ones where all of them would be too thin to see. */
  fit(width: number): void {
    const most = Math.max(40, Math.floor(width / 4));
    if (this.bars.length <= most) this.chart.timeScale().fitContent();
    else this.chart.timeScale().setVisibleLogicalRange({ from: this.bars.length - most, to: this.bars.length + 4 });
  }

  /** Moves the crosshair by a number of bars, starting at the newest bar if there is no crosshair. */
  moveCrosshair(by: number): number | null {
    if (this.bars.length === 0) return null;
    const at = Math.min(this.bars.length - 1, Math.max(0, (this.crosshair ?? this.bars.length) + by));
    const bar = this.bars[at]!;
    this.chart.setCrosshairPosition(bar.close, bar.time as UTCTimestamp, this.candles);
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (range && (at < range.from || at > range.to)) {
      const half = (range.to - range.from) / 2;
      this.chart.timeScale().setVisibleLogicalRange({ from: at - half, to: at + half });
    }
    this.crosshair = at;
    return at;
  }

  zoom(factor: number): void {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!range) return;
    this.chart.timeScale().setVisibleLogicalRange({ from: range.to - (range.to - range.from) * factor, to: range.to });
  }

  toNewest(): void {
    this.chart.clearCrosshairPosition();
    this.crosshair = null;
    this.chart.timeScale().scrollToRealTime();
  }
}
