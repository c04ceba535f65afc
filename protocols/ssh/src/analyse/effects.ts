import { formatPath, type Effect } from '@sallyport/policy'

/** Variables that clients send by habit and that change nothing but language and time zone. */
const habitual = /^(LANG|LANGUAGE|LC_[A-Z]+|TZ|COLORTERM|NO_COLOR)$/

export function envEffect(name: string, value: string, login: string): Effect {
  // A locale is a file name: no path may come in by it.
  const harmless = habitual.test(name) && /^[A-Za-z0-9_.@:+-]*$/.test(value)
  return { action: 'ssh.env', resource: formatPath(name), details: { login, value }, ...(harmless ? { harmless: true as const } : {}) }
}

export function ptyEffect(login: string): Effect {
  return { action: 'ssh.pty', resource: '', details: { login }, harmless: true }
}

export function shellEffect(login: string): Effect {
  return { action: 'ssh.shell', resource: '', details: { login } }
}

/** sftp is harmless by itself: each of its operations is decided. */
export function subsystemEffect(name: string, login: string): Effect {
  return { action: 'ssh.subsystem', resource: formatPath(name), details: { login }, ...(name === 'sftp' ? { harmless: true as const } : {}) }
}

/** `host:port`; the host in small letters, an IPv6 address in brackets. */
export function forwardEffect(host: string, port: number, login: string): Effect {
  const details = { login, host: host.toLowerCase(), port }
  return { action: 'ssh.forward', resource: endpoint(host, port), details }
}

export function reverseForwardEffect(host: string, port: number, login: string): Effect {
  return { action: 'ssh.reverse_forward', resource: endpoint(host, port), details: { login, host, port } }
}

export function bareEffect(action: 'ssh.x11' | 'ssh.agent_forward', login: string): Effect {
  return { action, resource: '', details: { login } }
}

/** In quotes as one segment: dots of a host name are not levels of a policy's patterns. */
function endpoint(host: string, port: number): string {
  const name = host.toLowerCase()
  return `${name.includes(':') ? `[${name}]` : name}:${port}`
}
