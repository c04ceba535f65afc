import type { RequestOf } from '../wire/messages.js'

/** Commands and names that aren't UTF-8 come out of ssh2 with this character in them. */
const replacement = '\ufffd'
/** As long as a request on the wire may be, in characters. */
const maxLength = { exec: 65_536, subsystem: 1024, shell: 0 } as const
const maxShown = 500

export type Refused = RequestOf<'refused'>

const channelActions: ReadonlyMap<string, Refused['action']> = new Map([
  ['x11', 'ssh.x11'],
  ['auth-agent@openssh.com', 'ssh.agent_forward'],
])

/** For the record: a client tried to open a channel of a kind that nobody gets (a socket, a tunnel device …). */
export function strangeChannel(type: string, more: Buffer): Pick<Refused, 'action' | 'text'> {
  const path = type === 'direct-streamlocal@openssh.com' && more.length >= 4 ? ` ${shown(more.toString('utf8', 4, 4 + more.readUInt32BE(0)))}` : ''
  return { action: channelActions.get(type) ?? 'ssh.forward', text: `channel ${shown(type)}${path}` }
}

/** Why a command or subsystem can't even be asked for. */
export function faultOf(type: keyof typeof maxLength, text: string): string | undefined {
  if (text.includes(replacement) || text.includes('\0')) return 'the command is not valid UTF-8 or holds a NUL byte'
  return text.length > maxLength[type] ? `the command is longer than ${maxLength[type]} characters` : undefined
}

/** Control characters written out: a record holds no NUL, and a terminal that shows it is not to obey it. */
export function shown(text: string): string {
  return text.slice(0, maxShown).replace(/[\u0000-\u001f\u007f-\u009f]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
