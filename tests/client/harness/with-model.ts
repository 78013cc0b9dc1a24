// A session with a model of its own that lives as long as the session.
import type { TempHome } from '../../support/temp-home.ts';
import { type ModelRequest, type ScriptedStep, scriptedModel } from './scripted-model.ts';
import { runSession, type SessionEvents, type SessionOptions } from './session.ts';

/** Runs one session in `home` whose model follows `steps`; also returns what the model was asked. */
export async function scriptedSession(
  home: TempHome,
  steps: ScriptedStep[] = [{ text: 'done' }],
  options: Partial<Omit<SessionOptions, 'model'>> = {},
): Promise<SessionEvents & { requests: ModelRequest[] }> {
  const model = await scriptedModel(steps);
  try {
    return { ...(await runSession(home, { prompt: 'go on', ...options, model })), requests: model.requests };
  } finally {
    await model.close();
  }
}
