import { z } from 'zod'

const reference = z
  .string()
  .regex(/^(env|file|exec):.+$/s, 'must be a reference (env:NAME, file:/path or exec:/path): a credential never stands in a document')

/** A login name as OpenSSH takes it; no `%` and no `@`, which separate it from the target's name in the client's user name. */
const login = z.string().regex(/^[A-Za-z_][A-Za-z0-9._$-]{0,63}$/, 'must be the name of an account')

const hostKey = z
  .string()
  .regex(/^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|ssh-rsa) [A-Za-z0-9+/]+={0,2}( .*)?$/, 'must be a public key as in known_hosts: "ssh-ed25519 AAAA…"')

const duration = z.string().regex(/^[1-9][0-9]{0,4}(s|m)$/, 'must be a duration such as 5m')

const credential = z
  .union([
    z.strictObject({
      /** The agent signs a certificate for one session with this CA key: no standing key on the host. */
      certificate: z.strictObject({ caKey: reference, ttl: duration.default('5m') }),
    }),
    z.strictObject({ privateKey: reference }),
    z.strictObject({ password: reference }),
  ], { error: 'must be one of: certificate: { caKey }, privateKey, password' })

/** An SSH target: the protocol's own part of a Target document. */
export const sshTargetSchema = z.strictObject({
  /** host:port, [v6]:port, or a host alone for port 22. */
  address: z.string().min(1).max(260),
  /** Accounts that may be asked for; the first is the default. */
  logins: z.array(login).min(1).max(50),
  /** The host's keys. Required unless `hostKeyCheck: none` says that any key is taken. */
  hostKeys: z.array(hostKey).max(10).default([]),
  hostKeyCheck: z.enum(['pinned', 'none']).default('pinned'),
  credential,
  /** The account of one session; set by the control plane from what the client asked for. */
  login: login.optional(),
}).superRefine((spec, context) => {
  if (spec.hostKeyCheck === 'pinned' && spec.hostKeys.length === 0) {
    context.addIssue({ code: 'custom', path: ['hostKeys'], message: "must hold the host's public key (ssh-keyscan prints it); a host whose key isn't known could be anybody" })
  }
  if (spec.login !== undefined && !spec.logins.includes(spec.login)) context.addIssue({ code: 'custom', path: ['login'], message: 'must be one of logins' })
})

export type SshTarget = z.infer<typeof sshTargetSchema>

/** Host and port of an address. */
export function hostAndPort(address: string): { host: string; port: number } {
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(address)
  if (bracketed) return { host: bracketed[1] ?? '', port: Number(bracketed[2] ?? 22) }
  const parts = address.split(':')
  if (parts.length === 2) return { host: parts[0] ?? '', port: Number(parts[1]) }
  return { host: address, port: 22 }
}
