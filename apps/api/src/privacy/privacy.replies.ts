import { z } from 'zod'

export const personReply = z.object({ person: z.uuid(), identifiers: z.array(z.object({ identifier: z.string(), pseudonym: z.string() })) }).meta({ id: 'Person' })

export const erasedReply = z
  .object({ persons: z.array(z.uuid()), identifiers: z.int(), still_named_in: z.array(z.string()).meta({ description: 'Documents in force that still hold a name.' }) })
  .meta({ id: 'Erased' })
