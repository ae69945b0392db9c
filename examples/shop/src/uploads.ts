import type { RequestHandler } from 'express'
import multer, { MulterError } from 'multer'
import { httpError } from './errors.js'

export const PICTURE_LIMIT = 1_000_000

declare global {
  namespace Express {
    interface Locals {
      /** Why no file came: told by the page that asked for it, once the form's token was checked. */
      uploadProblem?: { readonly status: number; readonly text: string }
    }
  }
}

/**
 * Reads a form with one picture in it, into memory, and not a byte more than the limit. It stands in front of the check
 * of the form's token, which is a field of this very form, and behind the one for who is signed in: for anybody else
 * not a byte is read.
 */
export function receivePicture(field: string): RequestHandler {
  const receive = multer({
    storage: multer.memoryStorage(),
    limits: {
      fileSize: PICTURE_LIMIT,
      files: 1,
      fields: 3,
      parts: 4,
      fieldSize: 500,
      fieldNameSize: 50,
      headerPairs: 20,
    },
  }).single(field)

  return function receivePicture(req, res, next) {
    receive(req, res, (error) => {
      if (error instanceof MulterError && error.code === 'LIMIT_FILE_SIZE') {
        res.locals.uploadProblem = { status: 413, text: 'That picture is larger than 1 MB.' }
        return next()
      }
      // Everything else is no form of ours: too many parts, another field, no end.
      next(error && httpError(400, 'A form with a picture could not be read.'))
    })
  }
}
