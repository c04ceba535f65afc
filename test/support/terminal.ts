import { Client } from './client.js'
import type { SshHome } from './ssh.js'

/**
 * `ssh TARGET` at a terminal that util-linux's `script` makes. What is sent is typed; what is seen is the screen's bytes.
 * `first` runs in its shell beforehand.
 */
export function sshAtTerminal(home: SshHome, args: readonly string[] = [], size: { columns: number; rows: number; first?: string } = { columns: 120, rows: 40 }): Client {
  const command = `stty cols ${size.columns} rows ${size.rows}; ${size.first ?? ''} exec ssh -F ${home.config} ${[...args, home.target].join(' ')}`
  return new Client('script', ['-qec', command, '/dev/null'], { PATH: process.env['PATH'] ?? '', HOME: home.directory, TERM: 'xterm', SHELL: '/bin/sh' })
}
