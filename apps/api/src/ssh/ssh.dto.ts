import { z } from 'zod'
import { publicKeyField, ttlSecondsField } from '../credentials/credentials.dto.js'

export const certificateSchema = z.strictObject({ target: z.string().min(1).max(253), public_key: publicKeyField, ttl_seconds: ttlSecondsField })
