import { Command, Option } from 'commander'
import { registerAgents } from './commands/agents.js'
import { registerApply } from './commands/apply.js'
import { registerApprovals } from './commands/approvals.js'
import { registerAudit } from './commands/audit.js'
import { registerCompletion } from './commands/completion.js'
import { registerCredentials } from './commands/credentials.js'
import { registerDocuments } from './commands/documents.js'
import { registerDoctor } from './commands/doctor.js'
import { registerExec } from './commands/exec.js'
import { registerKubeconfig } from './commands/kubeconfig.js'
import { registerLocks } from './commands/locks.js'
import { registerPolicy } from './commands/policy.js'
import { registerPrivacy } from './commands/privacy.js'
import { registerSessions } from './commands/sessions.js'
import { registerSinks } from './commands/sinks.js'
import { registerTargets } from './commands/targets.js'
import { registerUsers } from './commands/users.js'
import { examples, pathOf } from './examples.js'
import { version } from './version.js'

const exitCodes = `
Exit codes: 0 done; 1 failed, refused or different; 2 wrong usage; 3 not signed in or not permitted; 4 not found;
5 conflict; 6 the control plane can't be reached; 124 no answer in time. \`exec\` exits with the code of the command it
ran (126 not executable, 127 not found, 128+n ended by signal n). Errors go to standard error, with -o json as JSON.

Configuration: --url or SALLYPORT_URL; --api-token-file or SALLYPORT_TOKEN; SALLYPORT_CA_FILE;
else ~/.config/sallyport/config.json: {"url": …, "tokenFile": …, "caFile": …}.`

/** The command table: parsing, help, completion and documentation all come out of it. */
export function program(): Command {
  const sallyport = new Command('sallyport')
    .description('Access for AI agents, CI jobs and engineers, decided command by command.')
    .version(version, '-V, --version')
    .addHelpText('after', exitCodes)
  registerExec(sallyport)
  registerKubeconfig(sallyport)
  registerApprovals(sallyport)
  registerSessions(sallyport)
  registerAudit(sallyport)
  registerSinks(sallyport)
  registerPrivacy(sallyport)
  registerPolicy(sallyport)
  registerApply(sallyport)
  registerDocuments(sallyport)
  registerTargets(sallyport)
  registerCredentials(sallyport)
  registerAgents(sallyport)
  registerUsers(sallyport)
  registerLocks(sallyport)
  registerDoctor(sallyport)
  registerCompletion(sallyport)
  sallyport.command('version').description('print the version').action(() => void process.stdout.write(`${version}\n`))
  return everywhere(sallyport)
}

/**
 * What holds for every command: global options may stand before or after its name (positional options, which keep the
 * words after `--` for the child of `exec`, would otherwise allow them in front only), and none ends the process itself.
 */
function everywhere(command: Command): Command {
  command
    .option('--url <url>', "the control plane's address")
    .option('--api-token-file <file>', 'file with your API token')
    .enablePositionalOptions()
    .exitOverride()
  // `sessions export` has one of its own: the file.
  if (!command.options.some((option) => option.long === '--output')) {
    command.addOption(new Option('-o, --output <format>', 'how to print results (default: table)').choices(['table', 'json', 'yaml']))
  }
  const shown = examples[pathOf(command)]
  if (shown !== undefined) command.addHelpText('after', `\nExamples:\n${shown.map((line) => `  ${line}`).join('\n')}`)
  for (const child of command.commands) everywhere(child)
  return command
}
