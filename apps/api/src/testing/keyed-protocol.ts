import { TargetSpecError, type ProtocolDescriptor } from '@sallyport/kit'

/** A protocol whose clients prove keys and name logins, reduced to what the control plane asks of one. */
export const keyedProtocol: ProtocolDescriptor = {
  protocol: 'ssh',
  actions: { actions: { 'ssh.exec': 'runs a command' }, aliases: {} },
  parseTargetSpec: (spec) => ({ logins: loginsOf(spec) }),
  resolveSession(spec, { login }) {
    const logins = loginsOf(spec)
    if (login !== undefined && !logins.includes(login)) throw new TargetSpecError(['logins'], `it has no login ${login}`)
    return { ...spec, logins: [login ?? logins[0]] }
  },
  load: () => Promise.resolve(),
  analyse: () => ({ commands: [] }),
}

function loginsOf(spec: unknown): readonly string[] {
  const logins: unknown = typeof spec === 'object' && spec !== null && 'logins' in spec ? spec.logins : []
  return Array.isArray(logins) ? logins.filter((login) => typeof login === 'string') : []
}
