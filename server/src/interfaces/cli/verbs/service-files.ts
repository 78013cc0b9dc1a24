/** What a service manager needs to run the agent. */
export interface Service {
  node: string;
  program: string;
  variables: Record<string, string | undefined>;
}

/** A systemd user unit: `systemctl --user enable --now haivemind`. */
export function systemdUnit(service: Service): string {
  const quote = (text: string): string =>
    `"${text.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`;
  const variables = Object.entries(service.variables)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `Environment=${quote(`${name}=${value}`)}`);
  return [
    '[Unit]',
    'Description=hAIveMind agent: keeps the plugins of Claude Code in step',
    'After=network-online.target',
    'Wants=network-online.target',
    // After \`hv leave\` it may be gone.
    `ConditionPathExists=${service.program.replaceAll('%', '%%')}`,
    '',
    '[Service]',
    `ExecStart=${quote(service.node)} ${quote(service.program)} agent`,
    ...variables,
    // It ends well when it is told to, and when the machine has left its hub.
    'Restart=on-failure',
    'RestartSec=5',
    'TimeoutStopSec=30',
    'Nice=5',
    '',
    '[Install]',
    'WantedBy=default.target',
  ].join('\n');
}

/** A launchd agent: `launchctl load ~/Library/LaunchAgents/dev.haivemind.agent.plist`. */
export function launchdPlist(service: Service, home: string): string {
  const text = (value: string): string =>
    value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const variables = Object.entries(service.variables).flatMap(([name, value]) =>
    value === undefined ? [] : [`    <key>${name}</key><string>${text(value)}</string>`],
  );
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<plist version="1.0">',
    '<dict>',
    '  <key>Label</key><string>dev.haivemind.agent</string>',
    '  <key>ProgramArguments</key>',
    '  <array>',
    ...[service.node, service.program, 'agent'].map((part) => `    <string>${text(part)}</string>`),
    '  </array>',
    '  <key>EnvironmentVariables</key>',
    '  <dict>',
    ...variables,
    '  </dict>',
    '  <key>RunAtLoad</key><true/>',
    '  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>',
    '  <key>ProcessType</key><string>Background</string>',
    `  <key>StandardErrorPath</key><string>${text(home)}/Library/Logs/haivemind.log</string>`,
    '</dict>',
    '</plist>',
  ].join('\n');
}
