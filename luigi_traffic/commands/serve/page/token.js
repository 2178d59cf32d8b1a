/** Ask for the token of a server that needs one. */

import { make, t } from "./text.js";

let asking = null;

/** The token that is given, or null; `wrong` says that the one before was refused. */
export function ask(wrong) {
  asking ??= new Promise((resolve) => {
    const input = make("input", { type: "password", autocomplete: "off", required: "" });
    const form = make(
      "form", {},
      make("p", {}, t("token_needed")),
      ...(wrong ? [make("p", { class: "flag" }, t("token_wrong"))] : []),
      make("label", {}, `${t("token")} `, input),
      make("button", {}, t("enter")),
    );
    const dialog = make("dialog", { "aria-label": t("token") }, form);
    const end = (given) => {
      asking = null;
      dialog.remove();
      resolve(given);
    };
    // `form-action 'none'` of the server: nothing is sent by the form itself.
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      end(input.value.trim());
    });
    dialog.addEventListener("cancel", () => end(null));
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}
