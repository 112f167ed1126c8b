import type { styleText } from 'node:util';
import type { ReportStyle } from '../../core/report/drift-text.ts';

/** How each piece of a report looks on a terminal, as `styleText` takes it. */
export const REPORT_STYLES: Readonly<Record<ReportStyle, Parameters<typeof styleText>[0]>> = {
  critical: ['bold', 'red'],
  high: 'red',
  medium: 'yellow',
  low: 'cyan',
  noise: 'gray',
  heading: 'bold',
  added: 'green',
  removed: 'red',
  changed: 'yellow',
  moved: 'cyan',
  dim: 'gray',
};
