import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { parsePublicKeyLine, publicKeyLine, SshKeyError } from '@sallyport/ssh-keys'
import { contextOf, durationSeconds, say } from '../context.js'
import { usageError } from '../errors.js'
import { execute } from '../exec/exec.js'
import { issueCredential, type IssueRequest } from '../exec/issued-credential.js'
import { fields } from '../output/table.js'

interface IssueOptions {
  readonly tokenFile?: string
  readonly audience: string
  readonly ttl?: number
  readonly singleUse?: true
}

interface TokenOptions extends IssueOptions {
  readonly publicKey?: string
}

export function registerExec(program: Command): void {
  issueOptions(program.command('exec'))
    .description("run a command that reaches TARGET: gets a credential for the job's identity, sets the client's variables, revokes on exit")
    .usage('[options] TARGET -- COMMAND [ARGUMENT...]')
    .argument('<target>', 'name of the target')
    .argument('<command...>', 'what to run, after --')
    .addHelpText('after', '\nIt exits with the code of the command that it ran.')
    .action(async (target: string, words: string[], options: IssueOptions, command: Command) => {
      const { api } = contextOf(command)
      process.exitCode = await execute(api, issueRequest(target, options), words, say)
    })

  issueOptions(program.command('token'))
    .description('get a credential for TARGET and print it with the connection (exec does this for you)')
    .argument('<target>', 'name of the target')
    .option('--public-key <file>', 'for an SSH target: bind the credential to this key (a .pub file)')
    .action(async (target: string, options: TokenOptions, command: Command) => {
      const { api, printer } = contextOf(command)
      const key = options.publicKey === undefined ? {} : { publicKey: publicKeyFrom(options.publicKey) }
      const credential = await issueCredential(api, { ...issueRequest(target, options), ...key })
      const { connection } = credential
      printer.result(credential.raw, () =>
        fields([
          ['credential', credential.id],
          ['target', `${credential.target} (${credential.protocol})`],
          ['host', connection.host],
          ['port', String(connection.port)],
          ['database', connection.database],
          ['user', connection.user],
          credential.keyFingerprint === '' ? ['password', credential.secret] : ['key', credential.keyFingerprint],
          ['expires in', `${credential.expiresInSeconds} s`],
        ]),
      )
    })
}

/** Read as what it must be, so that a private key that was named by mistake goes nowhere. */
function publicKeyFrom(file: string): string {
  try {
    return publicKeyLine(parsePublicKeyLine(readFileSync(file, 'utf8')))
  } catch (error) {
    throw usageError(`${file} is no OpenSSH public key`, error instanceof SshKeyError ? error.message : 'name the .pub file')
  }
}

function issueOptions(command: Command): Command {
  return command
    .option('--token-file <file>', "the job's OIDC token (found by itself in GitHub Actions, GitLab and Kubernetes)")
    .option('--audience <text>', 'audience to ask GitHub for', 'sallyport')
    .option('--ttl <duration>', 'how long the credential should live at most, like 10m', durationSeconds)
    .option('--single-use', 'good for one connection only')
}

function issueRequest(target: string, options: IssueOptions): IssueRequest {
  return {
    target,
    audience: options.audience,
    singleUse: options.singleUse === true,
    env: process.env,
    ...(options.tokenFile === undefined ? {} : { tokenFile: options.tokenFile }),
    ...(options.ttl === undefined ? {} : { ttlSeconds: options.ttl }),
  }
}
