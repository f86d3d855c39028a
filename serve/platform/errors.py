"""What only HTTP can refuse; everything else is `domain.errors`.

AtriumError
├── MethodNotAllowedError      405   `Allow` says what is
├── PayloadTooLargeError       413
└── UnsupportedMediaTypeError  415
"""

from domain.errors import AtriumError


class MethodNotAllowedError(AtriumError):
    code = "method_not_allowed"
    status = 405


class PayloadTooLargeError(AtriumError):
    code = "payload_too_large"
    status = 413


class UnsupportedMediaTypeError(AtriumError):
    code = "unsupported_media_type"
    status = 415
