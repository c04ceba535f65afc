import { TargetSpecError, type OfflineAnalysis, type ProtocolDescriptor } from '@sallyport/kit'
import { ActionIndex, formatPath } from '@sallyport/policy'
import { loadShell } from '@sallyport/shell'
import { sshTargetSchema, type SshTarget } from '../target-spec.js'
import { sshActions } from './actions.js'
import { effectsOfExec, programsOf } from './exec.js'

const index = new ActionIndex(sshActions)

/** All that the core asks of SSH. */
export const sshDescriptor: ProtocolDescriptor = {
  protocol: 'ssh',
  actions: sshActions,
  parseTargetSpec(spec) {
    return { ...parse(spec) }
  },
  resolveSession(spec, parameters) {
    const target = parse(spec)
    const login = parameters['login'] ?? target.logins[0] ?? ''
    if (!target.logins.includes(login)) {
      throw new TargetSpecError(['login'], `the account "${login.slice(0, 64)}" is not among those of this target: ${target.logins.join(', ')}`)
    }
    return { ...target, login }
  },
  load: loadShell,
  /** A command line as for `ssh target COMMAND`; or an action and its object, as in `ssh.sftp.read /var/log/syslog` or `ssh.shell`. */
  analyse(text): OfflineAnalysis {
    const [first = '', ...rest] = text.trim().split(/\s+/)
    if (first.startsWith('ssh.') && index.has(first)) {
      const effect = { action: first, resource: formatPath(rest.join(' ')), ...(first === 'ssh.exec.opaque' ? { details: { mustName: true } } : {}) }
      return { commands: [{ text, effects: [effect] }] }
    }
    return { commands: [{ text, effects: effectsOfExec(text, '') }] }
  },
  withoutValues: programsOf,
}

function parse(spec: unknown): SshTarget {
  const parsed = sshTargetSchema.safeParse(spec)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const path = (issue?.path ?? []).map((part) => (typeof part === 'number' ? part : String(part)))
  throw new TargetSpecError(path, issue?.message ?? 'invalid')
}
