"""What the local engine answers when it cannot do what was asked: one sentence in the prompt's language that says what to do."""

from __future__ import annotations

from opstore.errors import ProviderRefused
from opstore.providers.local.words import Language

_PHRASES: dict[str, tuple[str, str]] = {
    "unknown_type": (
        "The local engine does not know the operation type {value}. Choose another type.",
        "Le moteur local ne connaît pas le type d’opération {value}. Choisissez un autre type.",
    ),
    "count": (
        "This needs {wanted} image(s), and {given} came. Add or remove images and try again.",
        "Il faut {wanted} image(s), et {given} sont arrivées. Ajoutez ou retirez des images et recommencez.",
    ),
    "unreadable": (
        "Image {index} cannot be read: it is damaged or not a JPEG, PNG, WebP, GIF, AVIF or HEIC. Open it in another "
        "program, save it again as JPEG or PNG, and retry.",
        "L’image {index} est illisible : elle est abîmée, ou n’est pas un JPEG, PNG, WebP, GIF, AVIF ou HEIC. Enregistrez-la "
        "à nouveau en JPEG ou PNG et recommencez.",
    ),
    "too_many_pixels": (
        "Image {index} has {megapixels} million pixels; at most {limit} million can be worked on. Make it smaller and try again.",
        "L’image {index} compte {megapixels} millions de pixels ; {limit} millions au plus sont possibles. Réduisez-la "
        "et recommencez.",
    ),
    "result_too_large": (
        "The result would be {width} × {height} pixels; at most {limit} million pixels can be made. Ask for a smaller size.",
        "Le résultat ferait {width} × {height} pixels ; {limit} millions de pixels au plus sont possibles. Demandez "
        "une taille plus petite.",
    ),
    "empty_crop": (
        "The picture is too small to be cropped that way. Ask for a smaller crop, or resize it first.",
        "L’image est trop petite pour ce recadrage. Demandez un recadrage plus petit, ou agrandissez-la d’abord.",
    ),
    "nothing_understood": (
        "The local engine has no AI model and did not find an edit that it knows in this prompt. It can do: {list}.",
        "Le moteur local n’a pas de modèle d’IA et n’a trouvé dans cette demande aucune retouche qu’il connaît. Il "
        "sait faire : {list}.",
    ),
    "needs_model": (
        "Replacing or transferring a part of one image needs an AI model, which the local engine is not. With these "
        "images it can do: {list}.",
        "Remplacer ou transférer une partie d’une image demande un modèle d’IA, ce que le moteur local n’est pas. Avec "
        "ces images, il sait faire : {list}.",
    ),
    "empty_prompt": (
        "The prompt is empty. Write what the picture should show, for example “a calm sea at sunset”.",
        "La demande est vide. Décrivez l’image, par exemple « une mer calme au coucher du soleil ».",
    ),
    "no_such_image": (
        "The prompt speaks of image {index}, but only {given} came. Correct the number or add the image.",
        "La demande parle de l’image {index}, mais {given} seulement sont arrivées. Corrigez le numéro ou ajoutez l’image.",
    ),
    "parameter": (
        "The parameter {name} cannot be {value}. Use {allowed}.",
        "Le paramètre {name} ne peut pas valoir {value}. Utilisez {allowed}.",
    ),
    "failed": (
        "The local engine could not make this ({reason}). Try a smaller picture or another format.",
        "Le moteur local n’a pas pu faire cela ({reason}). Essayez une image plus petite ou un autre format.",
    ),
    "memory": (
        "There is not enough memory to make this. Ask for a smaller size or a shorter video.",
        "La mémoire ne suffit pas. Demandez une taille plus petite ou une vidéo plus courte.",
    ),
}
#: The kind of failure that each is; all others say that something was asked that cannot be done.
_KINDS = {
    "unknown_type": "needs a model",
    "nothing_understood": "needs a model",
    "needs_model": "needs a model",
    "failed": "crash",
    "memory": "memory",
}


def refusal(key: str, language: Language, **details: object) -> ProviderRefused:
    """Return the error to raise for `key`, worded in `language`."""
    return ProviderRefused(reason=_PHRASES[key][language == "fr"].format(**details), kind=_KINDS.get(key, "invalid input"))
