import { parseArgs } from 'node:util'
import { PeopleProvider } from './provider.js'

/** `main.js --port PORT --client URL --provider NAME`, the client's secret in PEOPLE_CLIENT_SECRET: runs until SIGTERM. One JSON line says where it is. */
const { values } = parseArgs({ options: { port: { type: 'string', default: '0' }, client: { type: 'string' }, provider: { type: 'string' } } })
const clientSecret = process.env['PEOPLE_CLIENT_SECRET']
if (values.client === undefined || values.provider === undefined || clientSecret === undefined) {
  process.stderr.write('usage: PEOPLE_CLIENT_SECRET=… main.js --client URL --provider NAME [--port PORT]\n')
  process.exit(2)
}
const provider = await PeopleProvider.start({ port: Number(values.port), clientUrl: values.client, clientSecret, provider: values.provider })
process.stdout.write(JSON.stringify({ msg: 'ready', url: provider.url }) + '\n')
const stop = (): void => void provider.stop().then(() => process.exit(0))
process.once('SIGTERM', stop)
process.once('SIGINT', stop)
