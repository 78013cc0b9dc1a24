/** What a SessionStart hook may print. */
export interface HookOutput {
  /** Shown to the user. */
  systemMessage?: string;
  hookSpecificOutput?: {
    hookEventName: 'SessionStart';
    /** Given to the model. */
    additionalContext?: string;
    /** Makes skills and commands under ~/.claude usable in this session. */
    reloadSkills?: boolean;
  };
}

/** One line for the user, and for the model when it should know as well. */
export function say(line: string, forModel: { context?: boolean; reloadSkills?: boolean } = {}): HookOutput {
  const specific = {
    ...(forModel.context === true ? { additionalContext: line } : {}),
    ...(forModel.reloadSkills === true ? { reloadSkills: true } : {}),
  };
  return {
    systemMessage: line,
    ...(Object.keys(specific).length === 0
      ? {}
      : { hookSpecificOutput: { hookEventName: 'SessionStart' as const, ...specific } }),
  };
}

/** Two outputs as one: a hook prints one. */
export function joined(a: HookOutput | null, b: HookOutput | null): HookOutput | null {
  if (a === null || b === null) return a ?? b;
  const lines = (x: string | undefined, y: string | undefined): string => [x, y].filter(Boolean).join('\n');
  const message = lines(a.systemMessage, b.systemMessage);
  const context = lines(a.hookSpecificOutput?.additionalContext, b.hookSpecificOutput?.additionalContext);
  const reload = a.hookSpecificOutput?.reloadSkills === true || b.hookSpecificOutput?.reloadSkills === true;
  return {
    ...(message === '' ? {} : { systemMessage: message }),
    ...(context === '' && !reload
      ? {}
      : {
          hookSpecificOutput: {
            hookEventName: 'SessionStart',
            ...(context === '' ? {} : { additionalContext: context }),
            ...(reload ? { reloadSkills: true } : {}),
          },
        }),
  };
}

/** What other machines said: for the model, and what a person should see themselves. */
export function news(told: { text: string; shown: string } | null): HookOutput | null {
  if (told === null) return null;
  return {
    ...(told.shown === '' ? {} : { systemMessage: told.shown }),
    hookSpecificOutput: { hookEventName: 'SessionStart', additionalContext: told.text },
  };
}
