import { z } from 'zod'

export const targetReply = z.object({ name: z.string(), protocol: z.string(), labels: z.record(z.string(), z.string()) }).meta({ id: 'Target' })

export const connectionReply = z
  .object({
    host: z.string(),
    port: z.int(),
    database: z.string(),
    user: z.string(),
    sslmode: z.literal('verify-full'),
    ca_pem: z.string().meta({ description: "The CA that the gateway's certificate chains to." }),
  })
  .meta({ id: 'Connection', description: 'What a client puts into its settings.' })
