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
