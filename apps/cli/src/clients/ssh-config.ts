import { CliError } from '../errors.js'

export interface SshConfigFacts {
  /** What follows `ssh` on the command line. */
  readonly target: string
  /** The gateway's address. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly identityFile: string
  readonly knownHostsFile: string
}

/**
 * ssh_config(5) for one target. Nothing of the user's own configuration holds for it: a ProxyCommand or an older key there
 * would lead around the gateway or speak for somebody else. All other hosts have their usual configuration.
 * @throws {CliError} for names that would be more than a name in this file
 */
export function sshConfig(facts: SshConfigFacts): string {
  const target = word(facts.target, 'the target')
  return `# Made by sallyport exec for one run.
Host ${target}
  HostName ${word(facts.host, "the gateway's host")}
  Port ${facts.port}
  User ${word(facts.user, 'the user name')}
  IdentityFile ${path(facts.identityFile)}
  IdentitiesOnly yes
  IdentityAgent none
  AddKeysToAgent no
  ForwardAgent no
  PreferredAuthentications publickey
  # In OpenSSL on both sides; the client would prefer others, which the gateway computes several times slower.
  Ciphers aes128-gcm@openssh.com,aes256-gcm@openssh.com
  PasswordAuthentication no
  KbdInteractiveAuthentication no
  UserKnownHostsFile ${path(facts.knownHostsFile)}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  CheckHostIP no
  VerifyHostKeyDNS no
  UpdateHostKeys no
  ControlMaster no
  ControlPath none
  ServerAliveInterval 30

Host * !${target}
  Include ~/.ssh/config
  Include /etc/ssh/ssh_config
`
}

/** Spaces, quotes, wildcards, `%` and line ends have a meaning in this file; a leading `-` has one for ssh. */
function word(text: string, what: string): string {
  if (/^[A-Za-z0-9_:][A-Za-z0-9._:-]*$/.test(text)) return text
  throw new CliError(`${what} can't stand in an ssh_config`, { why: 'it has characters that mean something there' })
}

/** In quotes. ssh expands `%` and `${NAME}` in paths even then; `%%` is a percent sign, and the other can't be escaped. */
function path(text: string): string {
  if (/["\\\n\r]|\$\{/.test(text)) throw new CliError(`the path ${JSON.stringify(text)} can't stand in an ssh_config`, { next: 'set TMPDIR to a simpler one' })
  return `"${text.replaceAll('%', '%%')}"`
}
