#!/bin/sh
# PreToolUse of claim_task: a task comes from another machine, so a person says yes to each, whatever else is allowed.
cat >/dev/null
printf '%s\n' '{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"ask","permissionDecisionReason":"This takes work that another machine of the collective offers. Read its title, description and sender first."}}'
exit 0
