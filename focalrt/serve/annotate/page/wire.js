// The HTTP calls of the page, and what can go wrong with them.

/** No answer, or none that says anything about the request: worth sending again. */
export class Unreachable extends Error {}

/** The server wants the address with its token again. */
export class LockedOut extends Unreachable {}

/** The server read the request and said no; the message is its sentence. */
export class Refused extends Error {
  constructor(status, answer) {
    super(typeof answer.detail === "string" ? answer.detail : `The server answered with status ${status}.`);
    this.status = status;
    this.object = answer.object;
  }
}

const BYTES = "application/octet-stream";
const MOST_TEXT = 1 << 20; // bytes of a body that is no upload, for the server; long strokes have more
const AGAIN = new Set([408, 429, 502, 503, 504]);
const LOCKED = new Set([401, 403]);

async function call(method, path, body) {
  const request = { method, headers: {} };
  if (body instanceof Blob) request.body = body;
  else if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers["Content-Type"] = request.body.length > MOST_TEXT ? BYTES : "application/json";
  }
  let response;
  try {
    response = await fetch(path, request);
    if (response.ok) return response.status === 204 ? null : await payload(response);
  } catch (error) {
    throw new Unreachable("The server does not answer.", { cause: error });
  }
  if (LOCKED.has(response.status)) {
    throw new LockedOut("The server does not know this page any more: open the address that focalrt annotate printed.");
  }
  if (AGAIN.has(response.status)) throw new Unreachable("The server is busy.");
  throw new Refused(response.status, await response.json().catch(() => ({})));
}

function payload(response) {
  const type = response.headers.get("Content-Type") ?? "";
  return type.startsWith("application/json") ? response.json() : response.blob();
}

export const address = (image, rest) => `/api/images/${image.split("/").map(encodeURIComponent).join("/")}/${rest}`;

export const project = () => call("GET", "/api/project");
export const saved = () => call("GET", "/api/saved");
export const open = (image) => call("POST", address(image, "open"));
export const download = (image) => call("GET", address(image, "photo"));
export const importFile = (image, file) => call("POST", address(image, "import"), new Blob([file], { type: BYTES }));
export const createObject = (image, body) => call("POST", address(image, "objects"), body);
export const changeObject = (image, id, body) => call("PATCH", address(image, `objects/${id}`), body);
export const deleteObject = (image, id) => call("DELETE", address(image, `objects/${id}`));
export const takeStep = (image, id, action, body) => call("POST", address(image, `objects/${id}/${action}`), body);
