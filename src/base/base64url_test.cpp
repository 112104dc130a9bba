#include "base/base64url.h"

#include <gtest/gtest.h>

namespace tidewire {
namespace {

TEST(Base64Url, EncodesTheVectorsOfRfc4648WithoutPadding) {
  EXPECT_EQ(base64url_encode(""), "");
  EXPECT_EQ(base64url_encode("f"), "Zg");
  EXPECT_EQ(base64url_encode("fo"), "Zm8");
  EXPECT_EQ(base64url_encode("foo"), "Zm9v");
  EXPECT_EQ(base64url_encode("foob"), "Zm9vYg");
  EXPECT_EQ(base64url_encode("\xfb\xff\xfe"), "-__-");
}

TEST(Base64Url, DecodesWhatItEncoded) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(base64url_decode(base64url_encode(bytes)), bytes);
    bytes.push_back(static_cast<char>(i * 37));
  }
}

TEST(Base64Url, RefusesEverySpellingButTheCanonicalOne) {
  for (const char* text : {"Zg==", "Zg=", "Z", "Zm9vZ", "Zh", "Zm9", "Zm 9", " Zm8", "Zm8\n", "Zm+v", "Zm/v",
                           "Zm9v.", "Z\xc3\xa9g"})
    EXPECT_EQ(base64url_decode(text), std::nullopt) << text;
  EXPECT_EQ(base64url_decode(std::string_view("Zm\0v", 4)), std::nullopt);
}

}  // namespace
}  // namespace tidewire
