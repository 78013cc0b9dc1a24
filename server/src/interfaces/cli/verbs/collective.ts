import { askOnce } from '../../../client/collective/ask-once.ts';
import { acknowledge } from '../../../client/collective/inbox.ts';
import { askAsMember } from '../../../client/collective/member.ts';
import { Severity } from '../../../contract/collective-schemas.ts';
import { HaiveError } from '../../../domain/errors.ts';
import { clean, shorten, table } from '../output.ts';
import type { Verb } from '../verb.ts';
import { choiceOption, countOption, listOption } from './options.ts';

export const broadcast: Verb = async (call) => {
  const { options } = call;
  const severity = choiceOption(options.severity, 'severity', Severity.options);
  const hours = countOption(options.hours, 'hours');
  const body = {
    content: call.rest.join(' '),
    ...(severity === undefined ? {} : { severity }),
    ...(options.category === undefined ? {} : { category: options.category }),
    groups: listOption(options.groups, 'groups') ?? [],
    ...(hours === undefined ? {} : { expires_in_hours: hours }),
  };
  const sent = await askOnce(await call.open(), 'broadcast', body);
  const machines = `${sent.machines} ${sent.machines === 1 ? 'machine' : 'machines'}`;
  return { json: sent, text: `${call.style.green('✓')} ${sent.id} (${sent.severity}) goes to ${machines}` };
};

export const broadcasts: Verb = async (call) => {
  const [action = 'list'] = call.args;
  const { options, style } = call;
  const ctx = await call.open();
  const list = (open: boolean) =>
    askAsMember(ctx, (hub) =>
      hub.call('broadcasts', {
        query: {
          category: options.category,
          severity: choiceOption(options.severity, 'severity', Severity.options),
          limit: countOption(options.limit, 'limit') ?? 20,
          ...(open ? { unacknowledged: 'true' } : {}),
        },
      }),
    );
  if (action === 'list') {
    const { broadcasts: found } = await list(options.open === true);
    const rows = found.map((b) => [
      b.id,
      b.severity === 'info' ? b.severity : style.red(b.severity),
      clean(b.machine),
      b.created_at.slice(0, 16).replace('T', ' '),
      `${b.acknowledged_by}${b.acknowledged ? ' (here too)' : ''}`,
      shorten(b.content, 90),
    ]);
    const head = ['ID', 'SEVERITY', 'FROM', 'AT (UTC)', 'ACKNOWLEDGED', 'TEXT'];
    return { json: { broadcasts: found }, text: rows.length === 0 ? 'No broadcast.' : table(head, rows, style) };
  }
  if (action === 'ack') {
    const ids = call.rest.length > 0 ? call.rest : (await list(true)).broadcasts.map((b) => b.id);
    const acknowledged = ids.length === 0 ? 0 : await acknowledge(ctx, ids);
    if (call.rest.length > 0 && acknowledged === 0) {
      throw new HaiveError('NOT_FOUND', `There is no broadcast ${ids.map(clean).join(', ')}`, {
        hint: '`hv broadcasts` lists those there are.',
      });
    }
    return { json: { acknowledged }, text: `${style.green('✓')} Acknowledged ${acknowledged}` };
  }
  throw new HaiveError('USAGE', `hv broadcasts ${action} is not known`, { hint: 'Use list or ack.' });
};

export const roster: Verb = async (call) => {
  const { options, style } = call;
  const query = { capability: options.capability, group: options.group };
  const { agents } = await askAsMember(await call.open(), (hub) => hub.call('agents', { query }));
  const rows = agents.map((a) => [
    style.bold(clean(a.machine)),
    a.online ? style.green('online') : 'away',
    clean(a.role) || '-',
    a.groups.join(',') || '-',
    a.capabilities.join(',') || '-',
    String(a.load),
    shorten(a.about, 60),
  ]);
  const head = ['MACHINE', 'HERE', 'ROLE', 'GROUPS', 'CAN', 'TASKS', 'ABOUT'];
  return { json: { agents }, text: rows.length === 0 ? 'No machine fits.' : table(head, rows, style) };
};
