import { adviceBeside } from '../../../client/advice.ts';
import { login as keepLogin, logout } from '../../../client/hub/login.ts';
import { joinHub } from '../../../client/join/index.ts';
import { leaveHub } from '../../../client/join/leave.ts';
import { formatError, HaiveError } from '../../../domain/errors.ts';
import { warnings } from '../output.ts';
import type { Verb } from '../verb.ts';
import { listOption, syncProgress } from './options.ts';
import { adviceLines } from './recommend.ts';
import { errorJson, syncJson, syncLines } from './sync-text.ts';

export const join: Verb = async (call) => {
  const ctx = await call.open();
  const result = await joinHub(ctx, {
    url: call.args[0],
    token: call.options.token,
    name: call.options.name,
    groups: listOption(call.options.groups, 'groups'),
    capabilities: listOption(call.options.capabilities, 'capabilities'),
    caFingerprint: call.options.caFingerprint,
    role: call.options.role,
    about: call.options.about,
    onProgress: syncProgress(call),
  });
  const { hub, machine, rejoined, sync, syncError } = result;
  const advice = sync === null ? null : await adviceBeside(ctx);
  const groups = machine.groups.length === 0 ? 'no groups' : machine.groups.join(', ');
  const lines = [
    `${call.style.green('✓')} ${rejoined ? 'Back in' : 'Joined'} ${hub.url} as ${call.style.bold(machine.name)} (${groups})`,
    ...(sync === null ? [] : syncLines(sync, call.style)),
    ...(syncError === null
      ? []
      : warnings(
          [`The first sync failed: ${formatError(syncError)}`, 'Run `hv sync` once that is mended.'],
          call.style,
        )),
    ...adviceLines(advice, call.style),
  ];
  return {
    json: {
      hub,
      machine,
      rejoined,
      sync: sync === null ? null : syncJson(sync),
      sync_error: syncError === null ? null : errorJson(syncError),
      recommendations: advice?.recommendations ?? [],
    },
    text: lines.join('\n'),
  };
};

export const leave: Verb = async (call) => {
  const { hub, hubTold, kept, stay, warnings: notes } = await leaveHub(await call.open());
  const from = hub === null ? 'This machine had joined no hub' : `Left ${hub}`;
  const but = stay.length === 0 ? '' : `, except in ${stay.join(', ')}`;
  return {
    json: { left: hub, hub_told: hubTold, kept, stay, warnings: notes },
    text: [
      `${call.style.green('✓')} ${from}; everything of hAIveMind is off this machine${but}`,
      ...(kept.length === 0 ? [] : [call.style.dim(`Your own stays, for you to keep or delete: ${kept.join(', ')}`)]),
      ...warnings(notes, call.style),
    ].join('\n'),
  };
};

export const login: Verb = async (call) => {
  const ctx = await call.open();
  if (call.options.logout === true) {
    const was = await logout(ctx);
    return { json: { logged_out: was }, text: was ? 'The token is forgotten.' : 'No token was kept.' };
  }
  const token = call.options.token ?? call.env.token ?? (await tokenFromInput());
  const { url, token: row, hub } = await keepLogin(ctx, call.args[0], token);
  return {
    json: { url, token: row, hub },
    text: `${call.style.green('✓')} Logged in to ${url} as ${row.name} (${row.roles.join(', ')})`,
  };
};

/** A token on the command line ends up in the shell's history; standard input does not. */
async function tokenFromInput(): Promise<string> {
  if (process.stdin.isTTY) {
    throw new HaiveError('USAGE', 'No token was given', { hint: 'Use --token T, or pipe it: `hv login URL < file`.' });
  }
  let text = '';
  for await (const chunk of process.stdin) text += chunk;
  if (text.trim() === '') throw new HaiveError('USAGE', 'No token was given', { hint: 'Use --token T.' });
  return text.trim();
}
