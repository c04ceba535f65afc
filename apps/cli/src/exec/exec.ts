import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@sallyport/ssh-keys'
import { CliError } from '../errors.js'
import type { ControlPlane } from '../http/control-plane.js'
import { clientFor } from '../protocols.js'
import { tellHolds } from './holds.js'
import { issueCredential, revokeCredential, type IssueRequest } from './issued-credential.js'
import { runChild } from './run.js'

const revokeTimeoutMilliseconds = 5000

/** What concerns the one who asked, not the program that is run. */
const notForTheChild = ['SALLYPORT_ID_TOKEN', 'SALLYPORT_TOKEN']

/**
 * `sallyport exec`: exchange, run the command with the protocol's variables set, revoke. Resolves with the exit code to
 * leave with. The credential ends with the command, also when a signal ends either of us; after `kill -9` its short
 * life does.
 */
export async function execute(api: ControlPlane, request: IssueRequest, command: readonly string[], say: (text: string) => void): Promise<number> {
  // What the target speaks is known with the answer only; making a key costs less than asking first.
  const key = generateKeyPair()
  const credential = await issueCredential(api, { ...request, publicKey: key.publicKeyLine })
  let directory: string | undefined
  const over = new AbortController()
  try {
    directory = mkdtempSync(join(tmpdir(), 'sallyport-exec-'))
    const client = clientFor(credential.protocol)
    if (client === undefined) {
      throw new CliError(`this CLI can't set up clients for ${credential.protocol}`, { next: 'use `sallyport token` and configure the client yourself' })
    }
    const variables = await client.environment(credential, { directory, key, env: request.env, api })
    const env: NodeJS.ProcessEnv = { ...request.env, SALLYPORT_CREDENTIAL_ID: credential.id, ...variables }
    for (const name of notForTheChild) delete env[name]
    for (const [name, value] of Object.entries(env)) if (value === undefined) delete env[name]
    if (client.tellsHolds) void tellHolds(api, credential, say, over.signal)
    return await runChild(command, env, process.stdin.isTTY === true)
  } finally {
    over.abort()
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
    if (!(await revokeCredential(api, credential, revokeTimeoutMilliseconds))) {
      say(`warning: credential ${credential.id} could not be revoked; it expires ${credential.expiresInSeconds} s after it was issued`)
    }
  }
}
