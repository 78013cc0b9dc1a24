// What a session holds of a task although answers were lost, or another process of it began.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { claimTask, updateTask } from '../../server/src/client/collective/tasks.ts';
import { json, problem } from '../cli/scripted-hub.ts';
import { hub, m, scriptedPair } from '../cli/scripted-pair.ts';

const ID = 'task_12345678';
const TASK = {
  ...{ id: ID, title: 't', description: '', required_capabilities: [], groups: [], machine: null, role: null },
  ...{ priority: 3, status: 'claimed', from: 'a', claimed_by: 'test', attempt: 2, max_attempts: 3, lease_until: null },
  ...{ deadline_at: null, progress: '', result: '', reason: '', created_at: '', updated_at: '' },
};
const CLAIM = `POST /api/collective/tasks/${ID}/claim`;
const REPORT = `POST /api/collective/tasks/${ID}`;
const RENEW_MS = 20;

scriptedPair();
beforeEach(() => {
  hub.answers[REPORT] = (_, response) => json(response, TASK);
});
afterEach(async () => {
  hub.answers[REPORT] = (_, response) => json(response, { ...TASK, status: 'cancelled' });
  await updateTask(m.ctx, ID, { status: 'cancelled' });
});

const renewals = () => hub.bodies.filter(({ body }) => body.toString() === '{"attempt":2}').length;
const taken = (mine: boolean): void => {
  const details = { status: 'claimed', mine, attempt: 2 };
  hub.answers[CLAIM] = (_, response) => problem(response, 409, 'TASK_TAKEN', 'taken', { details });
};

it('a claim whose answer was lost is held by the same call, made again, and its lease renewed', async () => {
  hub.answers[CLAIM] = (_, response) => problem(response, 408, 'TIMEOUT', 'too slow');
  const lost = await claimTask(m.ctx, ID, RENEW_MS).catch((thrown) => thrown);
  expect(lost).toMatchObject({ code: 'TIMEOUT', hint: expect.stringContaining('same call') });
  hub.answers[CLAIM] = (_, response) => response.destroy();
  await expect(claimTask(m.ctx, ID, RENEW_MS)).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
  taken(true);
  expect(await claimTask(m.ctx, ID, RENEW_MS)).toMatchObject({ id: ID, attempt: 2 });
  await expect.poll(renewals).toBeGreaterThan(2);
  // It is held now: a second call is somebody else's.
  await expect(claimTask(m.ctx, ID, RENEW_MS)).rejects.toMatchObject({ code: 'TASK_TAKEN' });
});

it('a claim whose answer was lost is not held where another machine has it, nor one that was never made here', async () => {
  taken(true);
  await expect(claimTask(m.ctx, ID, RENEW_MS)).rejects.toMatchObject({ code: 'TASK_TAKEN' });
  hub.answers[CLAIM] = (_, response) => response.destroy();
  await expect(claimTask(m.ctx, ID, RENEW_MS)).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
  taken(false);
  await expect(claimTask(m.ctx, ID, RENEW_MS)).rejects.toMatchObject({ code: 'TASK_TAKEN' });
  expect(renewals()).toBe(0);
});

it('a report renews the lease from then on, also in a process that did not claim the task', async () => {
  await updateTask(m.ctx, ID, { attempt: 2, progress: 'half' }, RENEW_MS);
  await expect.poll(renewals).toBeGreaterThan(1);
  hub.answers[REPORT] = (_, response) => json(response, { ...TASK, status: 'done' });
  await updateTask(m.ctx, ID, { attempt: 2, status: 'done', result: 'x' }, RENEW_MS);
});
