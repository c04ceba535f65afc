#!/usr/bin/env node
import { Command, CommanderError, Option } from 'commander'
import { registerAgents } from './commands/agents.js'
import { registerApply } from './commands/apply.js'
import { registerApprovals } from './commands/approvals.js'
import { registerAudit } from './commands/audit.js'
import { registerCredentials } from './commands/credentials.js'
import { registerExec } from './commands/exec.js'
import { registerKubeconfig } from './commands/kubeconfig.js'
import { registerPolicy } from './commands/policy.js'
import { registerPrivacy } from './commands/privacy.js'
import { registerSessions } from './commands/sessions.js'
import { registerSinks } from './commands/sinks.js'
import { registerTargets } from './commands/targets.js'
import { registerUsers } from './commands/users.js'
import { CliError, exitCode } from './errors.js'
import { visible } from './output/visible.js'
import { version } from './version.js'

const exitCodes = `
Exit codes: 0 done; 1 error; 2 wrong usage; 3 denied. \`exec\` exits with the code of the command it ran
(126 not executable, 127 not found, 128+n ended by signal n).

Configuration: --url or SALLYPORT_URL; --api-token-file or SALLYPORT_TOKEN; SALLYPORT_CA_FILE;
else ~/.config/sallyport/config.json: {"url": …, "tokenFile": …, "caFile": …}.`

function program(): Command {
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
  registerTargets(sallyport)
  registerCredentials(sallyport)
  registerAgents(sallyport)
  registerUsers(sallyport)
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
  for (const child of command.commands) everywhere(child)
  return command
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage
  if (!(error instanceof CliError)) {
    process.stderr.write(`sallyport: ${visible(error instanceof Error ? error.message : String(error))}\n`)
    return exitCode.error
  }
  const { why, next } = error.details
  process.stderr.write(`sallyport: ${visible(error.message)}\n`)
  if (why !== undefined) process.stderr.write(`  why:  ${visible(why)}\n`)
  if (next !== undefined) process.stderr.write(`  next: ${visible(next)}\n`)
  return error.exit
}

// `sallyport … | head`: the reader is gone, and that is fine.
process.stdout.on('error', () => process.exit(exitCode.ok))
try {
  await program().parseAsync()
} catch (error) {
  process.exitCode = report(error)
}
