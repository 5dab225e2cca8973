// Checks the page when the server is empty, slow, silent, unreachable or refuses requests. These checks need the
// simulated server, which misbehaves on demand.

import { check, open, ready, settle } from './support.mjs';

export async function faults(browser, server) {
  const base = server.url;
  const set = (search) => fetch(`${base}/mock/set?${search}`);
  const failing = {
    expected:
      /the server responded with a status of (503|504|401|502)|ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY_RESPONSE/,
  };

  await set('empty=1');
  const empty = await open(browser, base, '/', {});
  await empty.page.waitForSelector('.page-notice code');
  check(
    (await empty.page.locator('.page-notice code').textContent()).startsWith('tickhouse ingest'),
    'an empty lake names the command',
  );
  await set('reset=1');
  await ready(empty.page);
  check(true, 'and the page goes on by itself');
  await empty.close();

  await set('slow=1500');
  const slow = await open(browser, base, '/', {});
  await slow.page.waitForSelector('#price[data-state="loading"]', { timeout: 10_000 });
  check((await slow.page.locator('#price .state-text').textContent()) === 'Loading', 'a slow answer shows as loading');
  await set('reset=1');
  await slow.page.waitForSelector('#price[data-state="ready"]', { timeout: 10_000 });
  await slow.close();

  await set('fail=volume_by_symbol:503&fail=bars:504');
  const broken = await open(browser, base, '/', failing);
  await broken.page.waitForSelector('#price[data-state="error"]');
  check(
    (await broken.page.locator('#price .state-text').textContent()).includes('connection refused'),
    'an error names its cause',
  );
  await broken.page.locator('#volume').scrollIntoViewIfNeeded();
  await broken.page.waitForSelector('#volume[data-state="error"]');
  await broken.page.locator('#share').scrollIntoViewIfNeeded();
  await broken.page.waitForSelector('#share[data-state="ready"]');
  check(true, 'and the other panels go on');
  await set('reset=1');
  await broken.page.evaluate(() => scrollTo(0, 0));
  await broken.page.waitForSelector('#price[data-state="ready"]', { timeout: 12_000 });
  check(true, 'the panel recovers by itself');
  await broken.close();

  await set('fail=meta:401');
  const refused = await open(browser, base, '/', failing);
  await refused.page.waitForSelector('.page-notice');
  check(
    (await refused.page.locator('.page-notice').textContent()).includes('connection refused'),
    'a refusal of the page names its cause',
  );
  await set('reset=1');
  await refused.close();

  await set('mode=snapshot&signals=off');
  const snapshot = await open(browser, base, '/', {});
  await settle(snapshot.page);
  check((await snapshot.page.locator('.badge').textContent()).startsWith('Snapshot'), 'a snapshot is labelled so');
  check(/\d/.test(await snapshot.page.locator('#tiles .price').first().textContent()), 'tiles show the newest day');
  check(
    (await snapshot.page.locator('#alerts code').textContent()).startsWith('tickhouse live'),
    'without signals the feed names the command',
  );
  check(
    (await snapshot.page.locator('#rolling code').textContent()).startsWith('tickhouse'),
    'so do the rolling values',
  );
  check(
    (await snapshot.page.locator('#signals .note').textContent()) === 'crosses by SQL',
    'the history comes from the SQL',
  );
  await set('reset=1');
  await snapshot.close();

  const silent = await open(browser, base, '/', failing);
  await silent.page.waitForFunction(() => document.querySelector('.badge')?.textContent === 'Live');
  await set('mute=1');
  await silent.page.waitForFunction(
    () => document.querySelector('.badge').textContent.startsWith('Stale since'),
    null,
    { timeout: 9000 },
  );
  check(
    await silent.page.evaluate(() => document.body.classList.contains('is-stale')),
    'a silent stream is stale since a time, and greyed',
  );
  await set('mute=0');
  await silent.page.waitForFunction(() => document.querySelector('.badge').textContent === 'Live', null, {
    timeout: 5000,
  });
  await set('refuse=1&drop=1');
  await silent.page.waitForFunction(
    () => /^(Reconnecting|Not connected)/.test(document.querySelector('.badge').textContent),
    null,
    { timeout: 5000 },
  );
  check(true, `a broken stream: ${await silent.page.locator('.badge').textContent()}`);
  await set('reset=1');
  await silent.page.waitForFunction(() => document.querySelector('.badge').textContent === 'Live', null, {
    timeout: 15_000,
  });
  check(true, 'and it comes back');
  await set('pipeline_error=broker%20is%20down');
  await silent.page.locator('#pipeline').scrollIntoViewIfNeeded();
  await silent.page.waitForFunction(() =>
    document.querySelector('.pipeline-error').textContent.includes('broker is down'),
  );
  check(true, 'an error of the pipeline is shown');
  await set('reset=1');
  await silent.close();
}
