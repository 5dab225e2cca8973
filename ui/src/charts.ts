// The parts of ECharts that the page uses, loaded when the first chart comes into view. Tooltips are drawn into the
// canvas (`renderMode: 'richText'`), because HTML tooltips need inline styles, which the CSP forbids.

import { BarChart, HeatmapChart, LineChart, PieChart, ScatterChart } from 'echarts/charts';
import { GridComponent, TooltipComponent, VisualMapContinuousComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { LabelLayout } from 'echarts/features';
import { CanvasRenderer } from 'echarts/renderers';

echarts.use([
  BarChart,
  CanvasRenderer,
  GridComponent,
  HeatmapChart,
  LabelLayout,
  LineChart,
  PieChart,
  ScatterChart,
  TooltipComponent,
  VisualMapContinuousComponent,
]);

export function init(box: HTMLElement): echarts.ECharts {
  return echarts.init(box, null, { renderer: 'canvas' });
}

export type Chart = echarts.ECharts;
