// Fetches of history: at most four at once (a browser has six connections to an origin, one of them is the stream),
// in order of priority, aborted when superseded; columns as they come, never rows of objects.

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
  /** Not told by every server. */
  first_ts?: number | null;
  first_date: string | null;
  last_date: string | null;
  newest_ts: number | null;
  server_time: number;
  row_limit: number;
  queries: { name: string; params: { name: string }[] }[];
}

/** A named query with its parameters; `limit` and `order` bound what the page shows and are left out of downloads. */
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

function search(query: Query, bounded: boolean): URLSearchParams {
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
  return `/api/q/${query.name}?${search(query, true)}`;
}

export function sqlUrl(query: Query): string {
  return `/api/q/${query.name}/sql?${search(query, true)}`;
}

export function downloadUrl(query: Query, format: 'csv' | 'parquet', zone: string): string {
  const parameters = search(query, false);
  if (format === 'csv') parameters.set('tz', zone);
  parameters.set('format', format);
  return `/api/q/${query.name}?${parameters}`;
}

/** By name; an unknown one is a column of nothing. */
export function column(answer: Answer, name: string): Cell[] {
  const at = answer.columns.findIndex((column) => column.name === name);
  return at < 0 ? [] : (answer.data[at] ?? []);
}

const MOST_AT_ONCE = 4;
/** One of them is kept for what can't wait: a slow query of the whole table must not hold up the prices. */
const URGENT = 5;

interface Waiting {
  priority: number;
  start: () => void;
}

let running = 0;

function free(priority: number): boolean {
  return running < (priority < URGENT ? MOST_AT_ONCE : MOST_AT_ONCE - 1);
}

const waiting: Waiting[] = [];

function place(priority: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const entry: Waiting = {
      priority,
      start: () => {
        signal.removeEventListener('abort', leave);
        running += 1;
        resolve();
      },
    };
    const leave = (): void => {
      const at = waiting.indexOf(entry);
      if (at >= 0) waiting.splice(at, 1);
      reject(signal.reason);
    };
    if (signal.aborted) return reject(signal.reason);
    if (free(priority)) return entry.start();
    signal.addEventListener('abort', leave);
    waiting.push(entry);
  });
}

function release(): void {
  running -= 1;
  let next = 0;
  for (let i = 1; i < waiting.length; i += 1) if (waiting[i]!.priority < waiting[next]!.priority) next = i;
  const entry = waiting[next];
  if (!entry || !free(entry.priority)) return;
  waiting.splice(next, 1);
  entry.start();
}

async function failure(response: Response): Promise<ApiError> {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text) as { error: { message: string; hint: string | null } };
    return new ApiError(error.message, error.hint ?? null, response.status);
  } catch {
    return new ApiError(`the server answered ${response.status} ${response.statusText}`.trim(), null, response.status);
  }
}

/** Lower priorities go first. */
export async function get(url: string, signal: AbortSignal, priority = 5): Promise<Response> {
  await place(priority, signal);
  try {
    let response: Response;
    try {
      response = await fetch(url, { signal, headers: { accept: 'application/json, text/plain' } });
    } catch (cause) {
      if (signal.aborted) throw cause;
      throw new ApiError('the server is not reached', 'is tickhouse still running?', 0);
    }
    if (!response.ok) throw await failure(response);
    return response;
  } finally {
    release();
  }
}

export async function getJson<T>(url: string, signal: AbortSignal, priority?: number): Promise<T> {
  return (await (await get(url, signal, priority)).json()) as T;
}

export function isAbort(cause: unknown): boolean {
  return cause instanceof DOMException && cause.name === 'AbortError';
}

export function describe(cause: unknown): string {
  if (cause instanceof ApiError) return cause.hint ? `${cause.message} (${cause.hint})` : cause.message;
  return cause instanceof Error ? cause.message : String(cause);
}
