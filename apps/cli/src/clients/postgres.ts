import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { probePostgres } from '../doctor/gateway-probes.js'
import { CliError } from '../errors.js'
import type { ClientSetup } from './client.js'

/** libpq's variables, which psql, pgbench and most drivers read (PostgreSQL documentation, 32.15 and 32.16). */
export const postgresClient: ClientSetup = {
  probe: probePostgres,
  program: { name: 'psql', args: ['--version'] },
  environment({ connection, secret }, { directory }) {
    if (connection.sslmode !== 'verify-full') {
      // Less would let anyone on the way pose as the gateway.
      throw new CliError(`the control plane asks for sslmode=${connection.sslmode}`, { why: 'only verify-full is accepted' })
    }
    const passFile = join(directory, 'pgpass')
    const entry = [connection.host, String(connection.port), '*', connection.user, secret].map(escapePassField).join(':')
    writeFileSync(passFile, entry + '\n', { mode: 0o600 })
    const caFile = join(directory, 'ca.pem')
    writeFileSync(caFile, connection.caPem, { mode: 0o600 })
    return {
      PGHOST: connection.host,
      PGPORT: String(connection.port),
      PGUSER: connection.user,
      PGDATABASE: connection.database,
      PGPASSFILE: passFile,
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: caFile,
      PGCHANNELBINDING: 'require',
      PGGSSENCMODE: 'disable',
      // These would win over, or lead away from, what is set above.
      PGPASSWORD: undefined,
      PGHOSTADDR: undefined,
      PGSERVICE: undefined,
      PGSERVICEFILE: undefined,
      PGSSLCERT: undefined,
      PGSSLKEY: undefined,
      PGSSLNEGOTIATION: undefined,
      PGSSLCRL: undefined,
      PGSSLCRLDIR: undefined,
      PGREQUIRESSL: undefined,
      PGREQUIREAUTH: undefined,
      PGOPTIONS: undefined,
      PGTARGETSESSIONATTRS: undefined,
    }
  },
}

/** `:` and `\` are escaped (PostgreSQL documentation, 32.16). */
function escapePassField(value: string): string {
  return value.replace(/[\\:]/g, '\\$&')
}
