import { findClaude, runClaude } from '../claude-program.ts';
import type { ClientContext } from '../context.ts';
import { askClient } from '../report/loaded.ts';
import { fail, type Looks, ok, warn } from './found.ts';

/** What Claude Code itself says. */
export const CLIENT_LOOKS: Looks = {
  loaded: async (ctx) => {
    const answers = await askClient(ctx);
    if (answers === null) return ok('Claude Code was not asked what it loads');
    const [bad] = [...answers].filter(([, errors]) => errors.length > 0);
    return bad === undefined
      ? ok(`Claude Code loads ${answers.size} of ours without errors`)
      : fail(
          `Claude Code does not load ${bad[0]}: ${bad[1][0]}`,
          `Run \`hv rollback ${bad[0]}\` or \`hv doctor --fix\`.`,
        );
  },

  claude: async (ctx) => {
    const version = await claudeVersion(ctx);
    return version === null
      ? warn('`claude` is not in PATH', 'Install Claude Code, or run doctor where it is in PATH.')
      : ok(`Claude Code ${version}`);
  },
};

async function claudeVersion(ctx: ClientContext): Promise<string | null> {
  const file = await findClaude(ctx.env);
  if (file === null) return null;
  return runClaude(ctx.env, file, ['--version'], 10_000).then(
    (stdout) => stdout.trim().split(' ')[0] ?? '?',
    () => '(version unknown)',
  );
}
