import { ok } from '@sallyport/api-client'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fingerprint, knownHostsLine, parsePublicKeyLine, publicKeyLine, SshKeyError } from '@sallyport/ssh-keys'
import { probeSsh } from '../doctor/gateway-probes.js'
import { CliError } from '../errors.js'
import type { IssuedCredential } from '../exec/issued-credential.js'
import type { ClientSetup, ClientWorkspace } from './client.js'
import { sshConfig } from './ssh-config.js'
import { quoted, quotedForRsync, writeWrappers } from './ssh-wrappers.js'

/**
 * OpenSSH's clients, and what runs them: `ssh TARGET`, scp, sftp, rsync, git and Ansible reach the gateway with a key that
 * only this run has. Other hosts are reached as ever.
 */
export const sshClient: ClientSetup = {
  probe: probeSsh,
  program: { name: 'ssh', args: ['-V'] },
  async environment(credential, workspace) {
    const { directory, key, env } = workspace
    if (credential.keyFingerprint !== fingerprint(key.publicKey.blob)) {
      // Without the binding the key proves nothing, and ssh would only say "Permission denied".
      throw new CliError('the control plane did not tie the credential to our key', { next: 'is it as new as this CLI?' })
    }
    const identityFile = join(directory, 'id_ed25519')
    writeFileSync(identityFile, key.privateKeyPem, { mode: 0o600 })
    const knownHostsFile = join(directory, 'known_hosts')
    writeFileSync(knownHostsFile, await gatewayKeys(credential, workspace), { mode: 0o600 })
    const configFile = join(directory, 'ssh_config')
    const { host, port, user } = credential.connection
    writeFileSync(configFile, sshConfig({ target: credential.target, host, port, user, identityFile, knownHostsFile }), { mode: 0o600 })

    const bin = join(directory, 'bin')
    mkdirSync(bin, { mode: 0o700 })
    writeWrappers(bin, configFile, env['PATH'] ?? '')
    // Sockets of ControlMaster: a connection must not outlive this run, nor serve another one that has another identity.
    const sockets = join(directory, 'mux')
    mkdirSync(sockets, { mode: 0o700 })
    return {
      PATH: env['PATH'] === undefined || env['PATH'] === '' ? bin : `${bin}:${env['PATH']}`,
      SALLYPORT_SSH_CONFIG: configFile,
      GIT_SSH_COMMAND: `ssh -F ${quoted(configFile)}`,
      GIT_SSH_VARIANT: 'ssh',
      RSYNC_RSH: `ssh -F ${quotedForRsync(configFile)}`,
      // Ansible's own default, with our file in front.
      ANSIBLE_SSH_ARGS: `-F ${quoted(configFile)} -C -o ControlMaster=auto -o ControlPersist=60s`,
      ANSIBLE_SSH_CONTROL_PATH_DIR: sockets,
      // An ansible.cfg that turns the check off would take any gateway.
      ANSIBLE_HOST_KEY_CHECKING: 'True',
      // Older keys, and options that could lead around the gateway.
      ANSIBLE_PRIVATE_KEY_FILE: undefined,
      ANSIBLE_SSH_COMMON_ARGS: undefined,
      ANSIBLE_SSH_EXTRA_ARGS: undefined,
    }
  },
}

/**
 * `known_hosts` for the gateway's address alone, out of what the control plane publishes: written anew, so that no
 * wildcard, marker or other host comes along.
 */
async function gatewayKeys(credential: IssuedCredential, { api }: ClientWorkspace): Promise<string> {
  const { host, port } = credential.connection
  const published = await ok(api.open.GET('/v1/ssh/known-hosts', { parseAs: 'text', headers: { accept: 'text/plain' } }))
  const name = port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`
  const lines: string[] = []
  for (const line of published.split('\n')) {
    const space = line.indexOf(' ')
    if (space < 0 || line.slice(0, space).toLowerCase() !== name) continue
    try {
      lines.push(`${knownHostsLine({ host, port }, publicKeyLine(parsePublicKeyLine(line.slice(space + 1))))}\n`)
    } catch (error) {
      if (!(error instanceof SshKeyError)) throw error
      throw new CliError(`a host key that is published for ${name} can't be used`, { why: error.message })
    }
  }
  if (lines.length === 0) {
    throw new CliError(`no host key is published for the gateway at ${name}`, {
      why: 'without one anybody on the way could pose as the gateway',
      next: "check SALLYPORT_GATEWAY_PUBLIC_ADDRESS_SSH or SALLYPORT_GATEWAY_HOSTNAMES of the gateway, and that it's connected",
    })
  }
  return lines.join('')
}
