// HTTP requests for history. At most four run at once, because a browser has six connections per origin and the stream
// uses one of them; they start in order of priority, and a superseded one is aborted. Answers stay columnar: building
// an object per row would cost time and memory.

export type Cell = string | number | boolean | null;

export interface Answer {
  name: string;
  columns: { name: string; type: string }[];
  rows: number;
  data: Cell[][];
  truncated: boolean;
  table_version: number | null;
  mode: 'live' | 'snapshot';
  took_ms: number;
}

export interface Meta {
  version: string;
  empty?: boolean;
  message?: string;
  command?: string;
  table: string;
  topic: string | null;
  market_zone: string;
  mode: 'live' | 'snapshot';
  table_version: number;
  rows: number;
  /** The simulated server leaves this field out. */
  first_ts?: number | null;
  first_date: string | null;
  last_date: string | null;
  newest_ts: number | null;
  server_time: number;
  row_limit: number;
  queries: { name: string; params: { name: string }[] }[];
}

/** A named query with its parameters. `limit` and `newest` bound what the page shows; downloads leave them out. */
export interface Query {
  name: string;
  symbols?: string[];
  from?: string;
  to?: string;
  interval?: string;
  params?: Record<string, string>;
  limit?: number;
  newest?: boolean;
}

export class ApiError extends Error {
  constructor(
    message: string,
    readonly hint: string | null,
    readonly status: number,
  ) {
    super(message);
  }
}

function searchParams(query: Query, bounded: boolean): URLSearchParams {
  const search = new URLSearchParams();
  for (const symbol of query.symbols ?? []) search.append('symbol', symbol);
  if (query.from !== undefined) search.set('from', query.from);
  if (query.to !== undefined) search.set('to', query.to);
  if (query.interval !== undefined) search.set('interval', query.interval);
  for (const [name, value] of Object.entries(query.params ?? {}))
    search.set(name === 'before' ? name : `p.${name}`, value);
  if (bounded && query.limit !== undefined) search.set('limit', String(query.limit));
  if (bounded && query.newest) search.set('order', 'newest');
  return search;
}

export function queryUrl(query: Query): string {
  return `/api/q/${query.name}?${searchParams(query, true)}`;
}

export function sqlUrl(query: Query): string {
  return `/api/q/${query.name}/sql?${searchParams(query, true)}`;
}

export function downloadUrl(query: Query, format: 'csv' | 'parquet', zone: string): string {
  const parameters = searchParams(query, false);
  if (format === 'csv') parameters.set('tz', zone);
  parameters.set('format', format);
  return `/api/q/${query.name}?${parameters}`;
}

/** The values of a column by its name; empty where the answer has no such column. */
export function column(answer: Answer, name: string): Cell[] {
  const at = answer.columns.findIndex((column) => column.name === name);
  return at < 0 ? [] : (answer.data[at] ?? []);
}

const MAX_CONCURRENT = 4;
/**
 * Requests below this priority number are urgent. The last slot is reserved for them, so that slow queries over the
 * whole table can't hold up the prices.
 */
const URGENT_BELOW = 5;

interface QueuedRequest {
  priority: number;
  start: () => void;
}

let running = 0;

function hasFreeSlot(priority: number): boolean {
  return running < (priority < URGENT_BELOW ? MAX_CONCURRENT : MAX_CONCURRENT - 1);
}

const queue: QueuedRequest[] = [];

function acquireSlot(priority: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const entry: QueuedRequest = {
      priority,
      start: () => {
        signal.removeEventListener('abort', leave);
        running += 1;
        resolve();
      },
    };
    const leave = (): void => {
      const at = queue.indexOf(entry);
      if (at >= 0) queue.splice(at, 1);
      reject(signal.reason);
    };
    if (signal.aborted) return reject(signal.reason);
    if (hasFreeSlot(priority)) return entry.start();
    signal.addEventListener('abort', leave);
    queue.push(entry);
  });
}

function releaseSlot(): void {
  running -= 1;
  let next = 0;
  for (let i = 1; i < queue.length; i += 1) if (queue[i]!.priority < queue[next]!.priority) next = i;
  const entry = queue[next];
  if (!entry || !hasFreeSlot(entry.priority)) return;
  queue.splice(next, 1);
  entry.start();
}

async function readError(response: Response): Promise<ApiError> {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text) as { error: { message: string; hint: string | null } };
    return new ApiError(error.message, error.hint ?? null, response.status);
  } catch {
    return new ApiError(`the server answered ${response.status} ${response.statusText}`.trim(), null, response.status);
  }
}

/** Fetches a URL once a slot is free. Requests with a lower priority number go first. */
export async function get(url: string, signal: AbortSignal, priority = 5): Promise<Response> {
  await acquireSlot(priority, signal);
  try {
    let response: Response;
    try {
      response = await fetch(url, { signal, headers: { accept: 'application/json, text/plain' } });
    } catch (cause) {
      if (signal.aborted) throw cause;
      throw new ApiError('the server is not reached', 'is tickhouse still running?', 0);
    }
    if (!response.ok) throw await readError(response);
    return response;
  } finally {
    releaseSlot();
  }
}

export async function getJson<T>(url: string, signal: AbortSignal, priority?: number): Promise<T> {
  return (await (await get(url, signal, priority)).json()) as T;
}

export function isAbort(cause: unknown): boolean {
  return cause instanceof DOMException && cause.name === 'AbortError';
}

export function describeError(cause: unknown): string {
  if (cause instanceof ApiError) return cause.hint ? `${cause.message} (${cause.hint})` : cause.message;
  return cause instanceof Error ? cause.message : String(cause);
}
